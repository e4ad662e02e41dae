package delivery

// pipelineGroup is how many recipients are sent before their replies are read: few enough
// for the replies to fit into the buffers of the network, where both sides would otherwise
// wait for each other (RFC 2920 §3.1).
const pipelineGroup = 100

// pipelined sends the envelope in as few flights as possible (RFC 2920).
func (t *transaction) pipelined(data string) *Error {
	t.queue(t.mail())
	rest := t.tried
	for first := true; len(rest) > 0; first = false {
		group := rest[:min(len(rest), pipelineGroup)]
		rest = rest[len(group):]
		for _, i := range group {
			t.queue(t.rcpt(i))
		}
		withDATA := len(rest) == 0 && data != ""
		if withDATA {
			t.queue(data)
		}
		if failure := t.flush(StepMAIL); failure != nil {
			return failure
		}
		if failure := t.readGroup(first, group, withDATA); failure != nil {
			return failure
		}
	}
	return nil
}

// readGroup reads the replies to one flight. All of them are read, so that none is taken for
// the reply to something else.
func (t *transaction) readGroup(withMAIL bool, group []int, withDATA bool) *Error {
	var refused *Error
	if withMAIL {
		answer, failure := t.read(StepMAIL, t.timeouts.Command)
		if failure != nil {
			return failure
		}
		if refused = positive(StepMAIL, answer, nil); refused == nil {
			t.welcome()
		}
	}
	for _, i := range group {
		if t.broken {
			return refused
		}
		answer, failure := t.read(StepRCPT, t.timeouts.Command)
		if refused != nil && failure == nil {
			if answer.code/100 == 2 {
				t.taken++
			}
			continue
		}
		if failure := t.judge(i, answer, failure); failure != nil && refused == nil {
			refused = failure
		}
	}
	if withDATA && !t.broken {
		return t.readDATA(refused)
	}
	return refused
}

// readDATA reads the reply to a DATA that was sent on trust. When the upstream waits for
// content although it accepted nobody to get it, it gets an empty message (RFC 2920 §3.1).
// Recipients that it did accept would find that in their mailbox: it is told by hanging up
// that there is no message for them.
func (t *transaction) readDATA(refused *Error) *Error {
	answer, failure := t.read(StepDATA, t.timeouts.DataStart)
	if failure != nil {
		return first(refused, failure)
	}
	wanted := refused == nil && t.taken > 0
	if answer.code != 354 {
		if wanted {
			return classify(StepDATA, answer)
		}
		return refused
	}
	if wanted {
		return nil
	}
	if t.taken > 0 {
		t.broken = true
		return refused
	}
	t.queue(".")
	if failure := t.flush(StepDATA); failure != nil {
		return first(refused, failure)
	}
	if _, failure := t.read(StepDATA, t.timeouts.DataEnd); failure != nil {
		return first(refused, failure)
	}
	return refused
}

// first returns the earlier one of two errors.
func first(a, b *Error) *Error {
	if a != nil {
		return a
	}
	return b
}
