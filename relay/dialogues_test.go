package relay_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const dialogues = "testdata/dialogues"

// readScripts reads all dialogues, in the order of their names.
func readScripts(t *testing.T) []*script {
	t.Helper()
	var scripts []*script
	err := filepath.WalkDir(dialogues, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".txt" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dialogues, strings.TrimSuffix(path, ".txt"))
		s, err := parseScript(filepath.ToSlash(name), string(text))
		if err != nil {
			t.Error(err)
			return nil
		}
		scripts = append(scripts, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return scripts
}

// TestDialogues plays every script on the ports it is for. Scripts that want the same
// configuration share a relay, and are played at the same time.
func TestDialogues(t *testing.T) {
	t.Parallel()
	byRelay := map[string][]*script{}
	for _, s := range readScripts(t) {
		byRelay[s.relay] = append(byRelay[s.relay], s)
	}
	for relay, scripts := range byRelay {
		t.Run(relay, func(t *testing.T) {
			t.Parallel()
			stage := newStage(t, filepath.Join(dialogues, "relays", relay+".yaml"))
			t.Run("scripts", func(t *testing.T) { stage.play(t, scripts) })
			stage.settle(t)
		})
	}
}

// players is how many scripts are played at once on a relay. They wait more than they compute.
const players = 16

func (s *stage) play(t *testing.T, scripts []*script) {
	places := make(chan struct{}, players)
	for _, script := range scripts {
		for _, port := range script.ports {
			result := make(chan error, 1)
			p := &player{stage: s, script: script, port: port, patience: 15 * time.Second}
			switch {
			case script.foreign:
				p.show = showing(newAuthority(t).user(t, script.certificate))
			case script.certificate != "":
				p.show = showing(s.clients.user(t, script.certificate))
			}
			go func() {
				places <- struct{}{}
				defer func() { <-places }()
				result <- p.play()
			}()
			t.Run(script.name+"/"+port, func(t *testing.T) {
				t.Parallel()
				if err := <-result; err != nil {
					t.Errorf("%s\n%v", script.about, err)
				}
			})
		}
	}
}

// TestDialogueThatIsWrongFails plays scripts that say what a relay does not do.
func TestDialogueThatIsWrongFails(t *testing.T) {
	t.Parallel()
	const begin = "# X.\nlogin: app.shop\nC: MAIL FROM:<app@example.com>\nC: RCPT TO:<bob@example.net>\nC: DATA\n" +
		"S: 250 2.1.0 Sender OK\nS: 250 2.1.5 Recipient OK\nS: 354 ...\nC: Subject: x\nC: .\nS: 250 2.0.0 Ok: queued as {id}\n"
	s := newStage(t, filepath.Join(dialogues, "relays", "standard.yaml"))
	for text, want := range map[string]string{
		"# X.\nC: NOOP\nS: 251 2.0.0 OK\n":                     "x.txt:3: S: 251 2.0.0 OK\nthe reply is 250 2.0.0 OK",
		"# X.\nC: NOOP\nS: 250 2.0.1 OK\n":                     "the reply is 250 2.0.0 OK",
		"# X.\nC: NOOP\nS: 250-2.0.0 OK\n":                     "the reply is 250 2.0.0 OK",
		"# X.\nC: NOOP\nC: NOOP\nS: 250 2.0.0 OK\n":            "at its end: S: 221 2.0.0 relay.test closing connection: the reply is 250",
		"# X.\nC: NOOP\nS: 250 2.0.0 OK\nclose\n":              "does not close",
		"# X.\nC: NOOP\nclose\n":                               "the server goes on with \"250 2.0.0 OK",
		"# X.\nC: NOOP\nquiet 1s\n":                            "the server is not silent",
		"# X.\nC: QUIT\nS: 221 ...\nS: 250 ...\n":              "the connection ended instead",
		"# X.\nbegin: connection\nports: 587\nTLS\nS: 220 x\n": "x.txt:4: TLS",
		"# X.\nC: NOOP\nS: 250 OK {id}\n":                      "the reply is 250 2.0.0 OK",
		"# X.\nlogin: stranger\nC: NOOP\nS: 250 2.0.0 OK\n":    "the reply is 535",
		begin + "U: Subject: x\n":                              "the upstream got\nMAIL FROM:<app@example.com>",
		begin + "U! Subject:...\n":                             "the upstream got Subject:... in",
	} {
		script, err := parseScript("x", text)
		if err == nil {
			p := &player{stage: s, script: script, port: script.ports[len(script.ports)-1], patience: 3 * time.Second}
			err = p.play()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\nerror %v, want %s", text, err, want)
		}
	}
}

// TestDialoguesAreMany holds the collection to its size, and each dialogue to a behaviour of
// its own.
func TestDialoguesAreMany(t *testing.T) {
	t.Parallel()
	const least = 150
	scripts := readScripts(t)
	if len(scripts) < least {
		t.Errorf("%d dialogues, want at least %d", len(scripts), least)
	}
	seen := map[string]string{}
	for _, s := range scripts {
		if other, ok := seen[s.about]; ok {
			t.Errorf("%s and %s are about the same: %s", other, s.name, s.about)
		}
		seen[s.about] = s.name
		if !strings.HasSuffix(s.about, ".") {
			t.Errorf("%s: its description is no sentence: %q", s.name, s.about)
		}
	}
}
