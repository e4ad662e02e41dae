package delivery

import (
	"strings"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

func TestConnectionsAreUsedAgain(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSImplicit})
	p := newTestPool(t, srv.upstream())
	for range 5 {
		mustDeliver(t, p, mail(greeting))
	}
	if srv.connections() != 1 || len(srv.received()) != 5 {
		t.Errorf("%d connections for %d messages", srv.connections(), len(srv.received()))
	}
}

func TestConnectionEndsAfterItsMessages(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSNone})
	p := newTestPool(t, srv.upstream(), func(p *pool) { p.messagesPerConnection = 2 })
	for range 5 {
		mustDeliver(t, p, mail(greeting))
	}
	eventually(t, "the connections end", func() bool { return strings.Count(strings.Join(srv.said(), "\n"), "QUIT") == 2 })
	if srv.connections() != 3 {
		t.Errorf("%d connections, said %q", srv.connections(), srv.said())
	}
}

func TestNoMessageWaitsForTheEndOfItsConnection(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	srv := newServer(t, script{mode: config.TLSNone, on: func(_ int, verb, _ string) string {
		if verb == "QUIT" {
			<-release
		}
		return ""
	}})
	p := newTestPool(t, srv.upstream(), func(p *pool) {
		p.messagesPerConnection, p.dialer.timeouts.Quit = 1, time.Hour
	})
	const messages = 3 * farewells
	delivered := make(chan struct{})
	go func() {
		defer close(delivered)
		for range messages {
			send(p, mail(greeting))
		}
	}()
	select {
	case <-delivered:
	case <-time.After(patience):
		t.Error("a message waits for the reply to QUIT")
	}
	said := func() int { return strings.Count(strings.Join(srv.said(), "\n"), "QUIT") }
	eventually(t, "goodbyes", func() bool { return said() == farewells })
	close(release)
	<-delivered
	p.close()
	if n := len(srv.received()); n != messages || p.leaving != 0 || said() != farewells {
		t.Errorf("%d messages, %d goodbyes, %d connections are still ending", n, said(), p.leaving)
	}
}

func TestIdleConnectionIsClosedWithQUIT(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSNone})
	clock := newFakeClock()
	p := newTestPool(t, srv.upstream(), func(p *pool) { p.clock = clock })
	mustDeliver(t, p, mail(greeting))
	clock.advance(idleTimeout - time.Second)
	mustDeliver(t, p, mail(greeting))
	clock.advance(idleTimeout - time.Second)
	if srv.connections() != 1 {
		t.Fatalf("%d connections before the time was over", srv.connections())
	}
	clock.advance(time.Second)
	if said := srv.said(); said[len(said)-1] != "QUIT" || len(p.idle) != 0 {
		t.Errorf("said %q", said)
	}
	mustDeliver(t, p, mail(greeting))
	if srv.connections() != 2 {
		t.Errorf("%d connections", srv.connections())
	}
}

func TestMessageSurvivesAConnectionThatWentStale(t *testing.T) {
	t.Parallel()
	for name, last := range map[string]string{"hung up": drop, "says that it closes": "421 4.4.2 idle for too long"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBothWays(t, func(t *testing.T, keywords []string) {
				mails := 0
				srv := newServer(t, script{mode: config.TLSNone, keywords: keywords, on: func(n int, verb, _ string) string {
					if n == 1 && verb == "MAIL" {
						if mails++; mails == 2 {
							return last
						}
					}
					return ""
				}})
				p := newTestPool(t, srv.upstream())
				mustDeliver(t, p, mail(greeting))
				mustDeliver(t, p, mail(greeting))
				if srv.connections() != 2 || len(srv.received()) != 2 {
					t.Errorf("%d connections, %d messages", srv.connections(), len(srv.received()))
				}
			})
		})
	}
}

func TestRefusedRSETDoesNotBounceTheNextMessage(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSNone, on: answers(map[string]string{
		"RCPT TO:<bad@": "550 5.1.1 unknown", "RSET": "502 5.5.1 not implemented",
	})})
	p := newTestPool(t, srv.upstream())
	mustFail(t, p, mail(greeting, "bad@x.test"))
	mustDeliver(t, p, mail(greeting, "good@x.test"))
	if srv.connections() != 2 {
		t.Errorf("%d connections", srv.connections())
	}
}

func TestUpstreamIsWelcomingOnceItTakesMAIL(t *testing.T) {
	t.Parallel()
	inBothWays(t, func(t *testing.T, keywords []string) {
		srv := newServer(t, script{mode: config.TLSNone, keywords: keywords, on: answers(map[string]string{
			"MAIL FROM:<refused@": "550 5.7.1 not you",
		})})
		p := newTestPool(t, srv.upstream())
		welcomes := 0
		for _, from := range []string{"refused@x.test", "a@x.test", "b@x.test"} {
			m := mail(greeting)
			m.reversePath = from
			p.deliver(t.Context(), m, func() { welcomes++ })
			if want := min(1, len(srv.received())); from == "refused@x.test" && welcomes != 0 || from != "refused@x.test" && welcomes != want {
				t.Errorf("%d welcomes after %s", welcomes, from)
			}
		}
		if srv.connections() != 1 {
			t.Errorf("%d connections", srv.connections())
		}
	})
}

func TestNewConnectionThatDropsIsNotTriedAgainAtOnce(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSNone, on: answers(map[string]string{"MAIL": drop})})
	err := mustFail(t, newTestPool(t, srv.upstream()), mail(greeting))
	if srv.connections() != 1 || err.Step != StepMAIL || err.concernsUpstream() {
		t.Errorf("%d connections, %+v", srv.connections(), err)
	}
}

func TestLossAfterTheEndOfDataIsNeverTriedAgainAtOnce(t *testing.T) {
	t.Parallel()
	ends := 0
	srv := newServer(t, script{mode: config.TLSNone, on: func(_ int, verb, _ string) string {
		if verb == "END" {
			if ends++; ends == 2 {
				return drop
			}
		}
		return ""
	}})
	p := newTestPool(t, srv.upstream())
	mustDeliver(t, p, mail(greeting))
	err := mustFail(t, p, mail(greeting))
	if !err.uncertain() || err.concernsUpstream() || len(srv.received()) != 2 || srv.connections() != 1 {
		t.Errorf("%+v, %d messages on %d connections", err, len(srv.received()), srv.connections())
	}
}

func TestClosedPoolKeepsNoConnection(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSNone})
	p := newTestPool(t, srv.upstream())
	mustDeliver(t, p, mail(greeting))
	p.close()
	mustDeliver(t, p, mail(greeting))
	if len(p.idle) != 0 || strings.Count(strings.Join(srv.said(), "\n"), "QUIT") != 2 {
		t.Errorf("%d idle, said %q", len(p.idle), srv.said())
	}
}

func TestUpstreamThatRefusesEarlyIsHeard(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSNone, keywords: []string{"HELP"}, on: answers(map[string]string{
		"DATA": "354 go ahead\r\n552 5.3.4 too large",
	})})
	err := mustFail(t, newTestPool(t, srv.upstream()), mail(greeting))
	if err.Reply() != "552 5.3.4 too large" || err.Temporary {
		t.Errorf("%+v", err)
	}
}
