package relay_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/xdg-go/scram"
)

// scram is what a client of SCRAM-SHA-256 says next. The argument begins it: the user, and the
// password when it is not the right one.
func (p *player) scram(argument string) (string, error) {
	if argument == "" {
		return p.nextSCRAM()
	}
	return p.beginSCRAM(argument, func(c *scram.Client) (*scram.ClientConversation, error) { return c.NewConversation(), nil })
}

// scramPlus is scram with the channel binding of the connection.
func (p *player) scramPlus(argument string) (string, error) {
	return p.beginSCRAM(argument, func(c *scram.Client) (*scram.ClientConversation, error) {
		binding, err := scram.NewTLSExporterBinding(&p.encrypted)
		return c.NewConversationWithChannelBinding(binding), err
	})
}

// scramDowngraded is scram of a client that could bind, and was not offered it.
func (p *player) scramDowngraded(argument string) (string, error) {
	return p.beginSCRAM(argument, func(c *scram.Client) (*scram.ClientConversation, error) {
		return c.NewConversationAdvertisingChannelBinding(), nil
	})
}

func (p *player) beginSCRAM(argument string, begin func(*scram.Client) (*scram.ClientConversation, error)) (string, error) {
	user, password, other := strings.Cut(argument, " ")
	if !other {
		password = p.stage.site.password
	}
	client, err := scram.SHA256.NewClient(user, password, "")
	if err != nil {
		return "", err
	}
	if p.conversation, err = begin(client); err != nil {
		return "", err
	}
	return p.stepSCRAM("")
}

// nextSCRAM answers the text of the last reply.
func (p *player) nextSCRAM() (string, error) {
	challenge, err := base64.StdEncoding.DecodeString(p.challenge)
	if err != nil {
		return "", err
	}
	if p.conversation == nil {
		return "", errors.New("SCRAM has not begun: name the user")
	}
	return p.stepSCRAM(string(challenge))
}

func (p *player) stepSCRAM(said string) (string, error) {
	next, err := p.conversation.Step(said)
	if err != nil {
		return "", fmt.Errorf("the client of SCRAM gives up: %w", err)
	}
	return base64.StdEncoding.EncodeToString([]byte(next)), nil
}
