// The judge of our logs: what other people's libraries say of our notes, proofs and policies.
//
// It reads one question in JSON from its input and answers in JSON. An empty "wrong" is a yes.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	f_log "github.com/transparency-dev/formats/log"
	f_note "github.com/transparency-dev/formats/note"
	f_proof "github.com/transparency-dev/formats/proof"
	"github.com/transparency-dev/formats/witness"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
)

type question struct {
	Ask    string
	Note   string   // a signed note
	Keys   []string // verifier keys that must all have signed it
	Signer string   // a private key to cosign the note with
	Proof  string   // a tlog-proof
	Entry  []byte   // what it is said to prove
	Policy string   // a tlog-policy
	Hashes [][]byte // a consistency proof
	Old    string   // the note of the smaller tree
}

type answer struct {
	Wrong string
	Note  string
}

func main() {
	var asked question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		panic(err)
	}
	asks := map[string]func(question) (string, error){
		"signed": signed, "cosign": cosign, "logged": logged, "quorum": quorum, "follows": follows,
	}
	text, err := asks[asked.Ask](asked)
	reply := answer{Note: text}
	if err != nil {
		reply.Wrong = err.Error()
	}
	json.NewEncoder(os.Stdout).Encode(reply)
}

func signed(q question) (string, error) {
	var verifiers []note.Verifier
	for _, key := range q.Keys {
		verifier, err := f_note.NewVerifier(key)
		if err != nil {
			return "", err
		}
		verifiers = append(verifiers, verifier)
	}
	opened, err := note.Open([]byte(q.Note), note.VerifierList(verifiers...))
	if err == nil && len(opened.Sigs) != len(q.Keys) {
		err = fmt.Errorf("%d of %d keys signed", len(opened.Sigs), len(q.Keys))
	}
	return "", err
}

func cosign(q question) (string, error) {
	signer, err := f_note.NewSignerForCosignatureV1(q.Signer)
	if err != nil {
		return "", err
	}
	text, _, _ := strings.Cut(q.Note, "\n\n")
	made, err := note.Sign(&note.Note{Text: text + "\n"}, signer)
	return string(made), err
}

func quorum(q question) (string, error) {
	group, err := witness.ParsePolicy([]byte(q.Policy))
	if err == nil && !group.Satisfied([]byte(q.Note)) {
		err = errors.New("too few witnesses")
	}
	return "", err
}

func logged(q question) (string, error) {
	var read f_proof.TLogProof
	if err := read.Unmarshal([]byte(q.Proof)); err != nil {
		return "", err
	}
	q.Note = string(read.Checkpoint)
	if _, err := signed(q); err != nil {
		return "", err
	}
	if _, err := quorum(q); err != nil {
		return "", err
	}
	head, err := checkpoint(q.Note)
	if err != nil {
		return "", err
	}
	var hashes [][]byte
	for _, hash := range read.Hashes {
		hashes = append(hashes, hash[:])
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(q.Entry)
	err = proof.VerifyInclusion(rfc6962.DefaultHasher, read.Index, head.Size, leaf, hashes, head.Hash)
	return string(read.Marshal()), err
}

func follows(q question) (string, error) {
	old, err := checkpoint(q.Old)
	if err != nil {
		return "", err
	}
	head, err := checkpoint(q.Note)
	if err != nil {
		return "", err
	}
	hasher := rfc6962.DefaultHasher
	return "", proof.VerifyConsistency(hasher, old.Size, head.Size, q.Hashes, old.Hash, head.Hash)
}

func checkpoint(signedNote string) (f_log.Checkpoint, error) {
	var head f_log.Checkpoint
	text, _, _ := strings.Cut(signedNote, "\n\n")
	_, err := head.Unmarshal([]byte(text + "\n"))
	return head, err
}
