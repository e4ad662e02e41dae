//go:build attack

package attack

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestBruteForce guesses passwords, and tries to shut an app out by it.
func TestBruteForce(t *testing.T) {
	heading("Brute force", "a password guessed, or an app shut out by the guesses")
	r := start(t, newUpstream(t))
	for n, port := range ports {
		launch(t, "wrong passwords on one connection on "+port, func(a *attack) {
			c := r.open(a, port, 10+n)
			_ = c.SetDeadline(time.Now().Add(2 * patience))
			guesses := 0
			for ; guesses < 100; guesses++ {
				reply := c.say("AUTH PLAIN " + plain("", "app.shop", fmt.Sprint("guess", guesses)))
				a.answered("a guess", reply, "535 5.7.8", "421 4.7.0", closed)
				if !strings.HasPrefix(reply, "535") {
					break
				}
			}
			a.figure("%d guesses before the end", guesses)
			if guesses > 10 {
				a.Errorf("%d guesses on one connection", guesses)
			}
		})
	}
	launch(t, "40 connections of 2 guesses each, while the app logs in from the same address", func(a *attack) { r.guessBeside(a, 20, 20) })
	launch(t, "40 connections of 2 guesses each, while the app logs in from another address", func(a *attack) { r.guessBeside(a, 21, 22) })
	launch(t, "a new user with each guess, from 20 connections, while the app logs in", func(a *attack) { r.guessUsers(a, 23) })
	launch(t, "malformed logins", func(a *attack) { r.malformedLogins(a) })
	launch(t, "another identity with the right password", func(a *attack) {
		for n, authzid := range []string{"admin", "attacker", "rotating.shop", "app.shop ", "APP.SHOP", "root", "*"} {
			a.answered(authzid, r.open(a, "465", 3100+n).say("AUTH PLAIN "+plain(authzid, "app.shop", r.password)), "535 5.7.8")
		}
	})
	launch(t, "lines of a login that are too long", func(a *attack) {
		for _, size := range []int{20_000, 1 << 20, 10 << 20} {
			for _, begin := range []string{"AUTH PLAIN ", "AUTH LOGIN\r\n"} {
				c := r.open(a, "587", 0)
				go c.send(begin + strings.Repeat("A", size) + "\r\n")
				a.answered(fmt.Sprint(size, " bytes"), c.lastReply(patience), "500 5.5.2", "500 5.5.6", closed)
			}
		}
	})
	launch(t, "a login of 12,000 bytes, which the standard allows", func(a *attack) {
		long := encode64("\x00" + strings.Repeat("u", 9000-1) + "\x00x")
		a.answered("long user", r.open(a, "465", 0).say("AUTH PLAIN "+long), "535 5.7.8", "501 ")
	})
}

// guessBeside guesses the password of the app on many connections at once, and measures how
// long the answers are held back, and what the app notices.
func (r *relay) guessBeside(a *attack, attacker, app int) {
	var guessing sync.WaitGroup
	var mu sync.Mutex
	var held []time.Duration
	stop := make(chan struct{})
	began := time.Now()
	for range 40 {
		guessing.Go(func() {
			c := r.open(a, "465", attacker)
			for n := range 2 {
				sent := time.Now()
				_ = c.SetDeadline(sent.Add(patience))
				reply := c.say("AUTH PLAIN " + plain("", "app.shop", fmt.Sprint("guess", n)))
				a.answered("a guess", reply, "535 5.7.8", "421 4.7.0")
				mu.Lock()
				held = append(held, time.Since(sent))
				mu.Unlock()
			}
		})
	}
	go func() { guessing.Wait(); close(stop) }()
	r.logInUntil(a, app, stop)
	slices.Sort(held)
	a.figure("guesses were answered after %v (median), %.1f a second", held[len(held)/2].Round(10*time.Millisecond), float64(len(held))/time.Since(began).Seconds())
	if held[len(held)/2] < 3*time.Second {
		a.Errorf("guesses are not slowed down")
	}
}

// guessUsers guesses a password for users that nobody guessed for before. Each guess costs the
// relay the work of a check, until the address had too many.
func (r *relay) guessUsers(a *attack, attacker int) {
	var guessing sync.WaitGroup
	stop, began := make(chan struct{}), time.Now()
	time.AfterFunc(3*time.Second, func() { close(stop) })
	for n := range 20 {
		guessing.Go(func() {
			c := r.open(a, "465", attacker)
			for guess := 0; time.Since(began) < 3*time.Second; guess++ {
				reply := c.say("AUTH PLAIN " + plain("", fmt.Sprintf("user%d.%d", n, guess), "guess"))
				a.answered("a guess", reply, "535 5.7.8", "421 4.7.0")
				if !strings.HasPrefix(reply, "535") {
					c = r.open(a, "465", attacker)
				}
			}
		})
	}
	r.logInUntil(a, 22, stop)
	guessing.Wait()
	a.figure("%.0f guesses a second", float64(a.tries)/time.Since(began).Seconds())
	if a.tries > 300 {
		a.Errorf("guesses for many users are not slowed down")
	}
}

// logInUntil logs the app in, over and over. No attack may refuse it that or slow it down.
func (r *relay) logInUntil(a *attack, app int, stop <-chan struct{}) {
	var logins []time.Duration
	for done := false; !done; {
		c := r.open(a, "465", app)
		sent := time.Now()
		if reply := c.say("AUTH PLAIN " + plain("", "app.shop", r.password)); !strings.HasPrefix(reply, "235 ") {
			a.breach("the app was shut out: %q", reply)
		}
		logins = append(logins, time.Since(sent))
		c.Close()
		select {
		case <-stop:
			done = true
		case <-time.After(100 * time.Millisecond):
		}
	}
	slices.Sort(logins)
	a.figure("the app logged in %d of %d times, in %v (median), %v at most", len(logins), len(logins),
		logins[len(logins)/2].Round(time.Millisecond/10), logins[len(logins)-1].Round(time.Millisecond/10))
	if logins[len(logins)/2] > 500*time.Millisecond {
		a.Errorf("the app is slowed down")
	}
}

// malformedLogins sends what is no login.
func (r *relay) malformedLogins(a *attack) {

	for n, command := range []string{
		"AUTH PLAIN !!!", "AUTH PLAIN =", "AUTH PLAIN ====", "AUTH PLAIN " + encode64("no NUL"), "AUTH PLAIN " + encode64("one\x00NUL"),
		"AUTH PLAIN " + encode64("\x00app.shop\x00"+r.password+"\x00"), "AUTH PLAIN " + encode64("\x00\x00\x00\x00"), "AUTH PLAIN " + encode64("\x00app.shop\x00"),
		"AUTH PLAIN " + encode64("\x00\x00"+r.password), "AUTH PLAIN " + encode64("\x00app.shop\x00"+r.password[:len(r.password)-1]),
		"AUTH PLAIN " + encode64("\x00app.shop\x00"+r.password+"x"), "AUTH PLAIN " + encode64("\x00app.shop\xff\x00"+r.password),
		"AUTH PLAIN\r\n*", "AUTH PLAIN\r\n", "AUTH LOGIN\r\n*", "AUTH LOGIN\r\n" + encode64("app.shop") + "\r\n*", "AUTH LOGIN\r\n\r\n",
		"AUTH LOGIN " + encode64("app.shop") + "\r\n" + encode64(r.password[1:]),
		"AUTH SCRAM-SHA-256 " + encode64("n,,n=app.shop"), "AUTH SCRAM-SHA-256 " + encode64("n,,r=x,n=app.shop"), "AUTH SCRAM-SHA-256 " + encode64("n,a=admin,n=app.shop,r=x"),
		"AUTH SCRAM-SHA-256 " + encode64("p=tls-exporter,,n=app.shop,r=x"), "AUTH SCRAM-SHA-256 " + encode64("n,,n=app.shop,r="), "AUTH SCRAM-SHA-256 " + encode64("\x00"),
		"AUTH", "AUTH ", "AUTH CRAM-MD5", "AUTH DIGEST-MD5", "AUTH ANONYMOUS " + encode64("x"), "AUTH EXTERNAL =", "AUTH NTLM", "AUTH GSSAPI", "AUTH \x00",
	} {
		// From an address of its own: after a few failures answers are held back.
		c := r.open(a, "587", 3200+n)
		c.send(command + "\r\n")
		reply := c.reply()
		for range strings.Count(command, "\r\n") {
			if strings.HasPrefix(reply, "334") {
				reply = c.reply()
			}
		}
		if strings.HasPrefix(reply, "334") {
			reply = c.say("*")
		}
		a.answered(command, reply, "501 ", "504 ", "535 ", "500 ", "502 ", "534 ")
		if reply := c.say("MAIL FROM:<app@example.com>"); reply != closed && !strings.HasPrefix(reply, "530 ") {
			a.breach("%q: MAIL is then answered with %q", command, reply)
		}
	}
}
