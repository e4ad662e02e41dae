package frontdoor

import "testing"

func TestDialogueFollowsTheServer(t *testing.T) {
	t.Parallel()
	type said struct {
		code  int
		meant effect
	}
	var (
		greeting  = said{220, effectNone}
		hello     = said{250, effectReset}
		mail      = said{250, effectBegin}
		ok        = said{250, effectNone}
		refused   = said{550, effectNone}
		goAhead   = said{354, effectNone}
		challenge = said{334, effectNone}
		loggedIn  = said{235, effectNone}
		bye       = said{221, effectNone}
		goAway    = said{421, effectNone}
	)
	tests := []struct {
		name       string
		said       []said
		idle, body bool
		over       bool
	}{
		{"before the greeting", nil, false, false, false},
		{"greeted", []said{greeting}, true, false, false},
		{"after MAIL", []said{greeting, hello, mail}, false, false, false},
		{"after a refused MAIL", []said{greeting, hello, refused}, true, false, false},
		{"a refused RCPT leaves the transaction open", []said{greeting, mail, refused}, false, false, false},
		{"in the body", []said{greeting, mail, ok, goAhead}, false, true, false},
		{"after the body", []said{greeting, mail, ok, goAhead, ok}, true, false, false},
		{"after a refused body", []said{greeting, mail, ok, goAhead, refused}, true, false, false},
		{"after RSET", []said{greeting, mail, hello}, true, false, false},
		{"in a login", []said{greeting, hello, challenge}, false, false, false},
		{"logged in", []said{greeting, hello, challenge, loggedIn}, true, false, false},
		{"after QUIT", []said{greeting, bye}, true, false, true},
		{"sent away in the body", []said{greeting, mail, goAhead, goAway}, true, false, true},
	}
	for _, tt := range tests {
		var d dialogue
		for _, s := range tt.said {
			d.replied(s.code, s.meant)
		}
		if d.idle() != tt.idle || d.body != tt.body || d.over != tt.over {
			t.Errorf("%s: idle %v, body %v, over %v", tt.name, d.idle(), d.body, d.over)
		}
	}
}

func TestAMessageTakenIsWorthNewErrors(t *testing.T) {
	t.Parallel()
	var d dialogue
	for _, code := range []int{550, 503, 452, 354, 554, 354, 451} {
		d.replied(code, effectNone)
	}
	if d.errors != 3 {
		t.Errorf("counted %d errors, want 3", d.errors)
	}
	d.replied(354, effectNone)
	d.replied(250, effectNone)
	if d.errors != 0 {
		t.Errorf("counted %d errors after a message was taken, want 0", d.errors)
	}
}

// A transaction begins with a login and a MAIL; the budget of commands bounds what follows.
func TestRefusalsWithinATransactionAreNoErrors(t *testing.T) {
	t.Parallel()
	var d dialogue
	d.replied(250, effectBegin)
	for range 5 {
		d.replied(550, effectNone)
	}
	if d.errors != 0 || d.commands != 6 {
		t.Errorf("counted %d errors, %d commands", d.errors, d.commands)
	}
	d.replied(354, effectNone)
	d.replied(554, effectNone)
	d.replied(550, effectNone)
	if d.errors != 2 {
		t.Errorf("counted %d errors, want the refused body and what came after", d.errors)
	}
}

func TestABodyIsWorthNewCommands(t *testing.T) {
	t.Parallel()
	var d dialogue
	for range 5 {
		d.replied(250, effectNone)
	}
	if d.commands != 5 {
		t.Errorf("counted %d commands, want 5", d.commands)
	}
	d.replied(354, effectNone)
	if d.commands != 0 {
		t.Errorf("counted %d commands after a body began, want 0", d.commands)
	}
}
