//go:build attack

package attack

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestTiming asks, over the network, which users exist.
func TestTiming(t *testing.T) {
	heading("Timing", "the names of users, read from how long a refusal takes")
	r := start(t, newUpstream(t))
	for n, mechanism := range []string{"PLAIN", "SCRAM-SHA-256"} {
		launch(t, "wrong passwords of users that exist and that do not, by "+mechanism, func(a *attack) { r.compare(a, mechanism, 500*(n+1)) })
	}
	launch(t, "what SCRAM shows of users before the password", func(a *attack) { r.compareChallenges(a) })
}

// compare measures how long refusals take, from an address of its own for each round, so that
// none is held back for its number.
func (r *relay) compare(a *attack, mechanism string, from int) {
	const rounds = 250
	took := map[string][]time.Duration{}
	names := []string{"app.shop", "rotating.shop", "nobody.shop", "none"}
	for round := range rounds {
		c := r.open(a, ports[round%2], from+round)
		for i := range names {
			// Whoever comes first on a connection might be slower.
			user := names[(i+round)%len(names)]
			began := time.Now()
			reply := r.fail(c, mechanism, user)
			took[user] = append(took[user], time.Since(began))
			a.answered(user, reply, "535 5.7.8 ")
		}
		c.Close()
	}
	for _, user := range names {
		slices.Sort(took[user])
		a.figure("%s %v", user, took[user][rounds/2].Round(time.Microsecond))
	}
	for _, user := range names[:3] {
		chance := slower(took[user], took["none"])
		a.figure("%s is slower than none in %.0f %% of pairs", user, 100*chance)
		if chance < 0.35 || chance > 0.65 {
			a.breach("the time of a refusal tells %s from none", user)
		}
	}
}

// slower is how often one of a takes longer than one of b: a half when time tells nothing (the
// U statistic of Mann and Whitney, as a part of all pairs). Both are sorted.
func slower(a, b []time.Duration) float64 {
	wins := 0
	for _, took := range a {
		below, _ := slices.BinarySearch(b, took)
		wins += below
	}
	return float64(wins) / float64(len(a)*len(b))
}

// fail logs in with a wrong password.
func (r *relay) fail(c *client, mechanism, user string) string {
	if mechanism == "PLAIN" {
		return c.say("AUTH PLAIN " + plain("", user, "wrong"))
	}
	challenge := decode(c.say("AUTH SCRAM-SHA-256 " + encode64("n,,n="+user+",r=clientnonce")))
	nonce, _, _ := strings.Cut(challenge, ",")
	return c.say(encode64("c=biws," + nonce + ",p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="))
}

// compareChallenges wants unknown users to have salts as known ones have: always the same, and
// with as many iterations.
func (r *relay) compareChallenges(a *attack) {
	shown := map[string]string{}
	for range 3 {
		for _, user := range []string{"app.shop", "rotating.shop", "nobody.shop", "none", "nobody"} {
			c := r.open(a, "465", 0)
			reply := c.say("AUTH SCRAM-SHA-256 " + encode64("n,,n="+user+",r=clientnonce"))
			_, salt, _ := strings.Cut(decode(reply), ",")
			if before, asked := shown[user]; asked && before != salt {
				a.breach("%s has another salt each time: %q and %q", user, before, salt)
			}
			shown[user] = salt
			a.answered(user, reply, "334 ")
			c.Close()
		}
	}
	shapes, salts := map[string]bool{}, map[string]bool{}
	for _, salt := range shown {
		salts[salt] = true
		value, iterations, _ := strings.Cut(salt, ",")
		shapes[fmt.Sprint(len(value), iterations)] = true
	}
	// The two that share the password of this test share its salt as well.
	if len(shapes) != 1 || len(salts) != len(shown)-1 {
		a.breach("salts tell users apart: %v", shown)
	}
}

// decode is the text of a challenge.
func decode(reply string) string {
	text, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(reply, "334 "))
	return string(text)
}
