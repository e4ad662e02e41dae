//go:build interop

package interop

import (
	"bufio"
	"compress/gzip"
	"debug/buildinfo"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// client is a mail client of which a program in clients/ sends one message, as its
// environment says.
type client struct {
	name string
	// program is the one in clients/; without it the client is part of this test.
	program string
	// version is what the table shows, empty when the client is not installed.
	version func() string
	// mechanisms are those it can be told to log in with.
	mechanisms []string
	// tree is the directory of Debian packages that a mail server runs in, which hands on to the
	// relay what it is given.
	tree string
	// starttlsOnly is set for a client that does not know implicit TLS.
	starttlsOnly bool
	// trustsAnyone is set for a client that cannot be made to check certificates.
	trustsAnyone bool
	// changes is what a client does to lines that begin with a dot when it gets them wrong.
	changes *strings.Replacer
	quirk   string
}

var (
	plain     = []string{"PLAIN"}
	passwords = []string{"PLAIN", "LOGIN"}
	xoauth2   = []string{"PLAIN", "LOGIN", "XOAUTH2"}
	every     = []string{"PLAIN", "LOGIN", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2", "EXTERNAL"}
	scram     = []string{"PLAIN", "LOGIN", "SCRAM-SHA-256"}
)

// without is every mechanism but some.
func without(mechanisms ...string) []string {
	return slices.DeleteFunc(slices.Clone(every), func(m string) bool { return slices.Contains(mechanisms, m) })
}

var clients = []client{
	{name: "swaks", program: "swaks", version: debian("swaks"), mechanisms: passwords, quirk: "sends no SNI"},
	{name: "msmtp", program: "msmtp", version: debian("msmtp"), mechanisms: every},
	{name: "curl", program: "curl", version: debian("curl"), mechanisms: without("SCRAM-SHA-256", "XOAUTH2"), quirk: "bare LF without --crlf; a token goes by OAUTHBEARER, also when told XOAUTH2"},
	{name: "s-nail", program: "s-nail", version: debian("s-nail"), mechanisms: without("SCRAM-SHA-256", "OAUTHBEARER"), quirk: "what it calls OAUTHBEARER is XOAUTH2"},
	{name: "mutt", program: "mutt", version: debian("mutt"), mechanisms: every, quirk: "chooses SCRAM-SHA-256-PLUS where offered, and fails"},
	{name: "sendEmail", program: "sendemail", version: debian("sendemail"), mechanisms: []string{"LOGIN"}, starttlsOnly: true, changes: strings.NewReplacer("\n..", "\n."), quirk: "chooses the mechanism itself; takes the dot of lines that begin with one"},
	{name: "git send-email", program: "git-send-email", version: debian("git-email"), mechanisms: passwords, quirk: "names the user as authorization identity"},
	{name: "Perl Net::SMTP", program: "net-smtp.pl", version: debian("perl"), mechanisms: passwords},
	{name: "Perl Email::Sender", program: "email-sender.pl", version: debian("libemail-sender-perl"), mechanisms: plain, quirk: "names the user as authorization identity"},
	{name: "Python smtplib", program: "smtplib.py", version: debian("python3"), mechanisms: []string{"PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2"}, quirk: "adds no Date, no Message-ID"},
	{name: "Django", program: "django.py", version: debian("python3-django"), mechanisms: plain, trustsAnyone: true, quirk: "this version does not check certificates"},
	{name: "aiosmtplib", program: "aiosmtplib.py", version: debian("python3-aiosmtplib"), mechanisms: passwords},
	{name: "PHPMailer", program: "phpmailer.php", version: debian("libphp-phpmailer"), mechanisms: xoauth2},
	{name: "Symfony Mailer", program: "symfony.php", version: debian("php-symfony-mailer"), mechanisms: xoauth2, quirk: "offers a token to LOGIN and PLAIN before XOAUTH2"},
	{name: "PEAR Net_SMTP", program: "net-smtp.php", version: debian("php-net-smtp"), mechanisms: xoauth2},
	{name: "Ruby net/smtp", program: "net-smtp.rb", version: debian("ruby"), mechanisms: passwords},
	{name: "Ruby mail", program: "mail.rb", version: debian("ruby-mail"), mechanisms: passwords, changes: strings.NewReplacer("\n.\n", "\n..\n"), quirk: "makes a line of one dot a line of two"},
	{name: "JavaMail", program: "javamail", version: debian("libmail-java"), mechanisms: xoauth2},
	{name: "Jakarta Mail", program: "jakarta-mail", version: debian("libjakarta-mail-java"), mechanisms: xoauth2},
	{name: "gsasl", program: "gsasl", version: debian("gsasl"), mechanisms: []string{"PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "EXTERNAL"}, starttlsOnly: true, quirk: "SCRAM-SHA-256 only with --no-cb"},
	{name: "Nodemailer", program: "nodemailer.js", version: npm("nodemailer"), mechanisms: xoauth2},
	{name: "Go net/smtp", version: runtime.Version, mechanisms: plain, quirk: "asks for SMTPUTF8 and 8BITMIME always"},
	{name: "go-mail", program: "go-mail", version: goModule("go-mail", "github.com/wneessen/go-mail"), mechanisms: []string{"PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "XOAUTH2"}},
	{name: "gomail", program: "gomail", version: goModule("gomail", "gopkg.in/gomail.v2"), mechanisms: plain, quirk: "chooses the mechanism itself"},
	{name: "Postfix", program: "postfix", tree: tree("postfix"), version: unpacked("postfix"), mechanisms: scram},
	{name: "Exim", program: "exim4", tree: tree("exim4-daemon-light"), version: unpacked("exim4-daemon-light"), mechanisms: []string{"PLAIN", "LOGIN", "EXTERNAL"}},
	{name: "nullmailer", program: "nullmailer", tree: tree("nullmailer"), version: unpacked("nullmailer"), mechanisms: passwords},
	{name: "OpenSMTPD", program: "opensmtpd", tree: tree("opensmtpd"), version: unpacked("opensmtpd"), mechanisms: plain, quirk: "chooses the mechanism itself; trusts the CAs of its system"},
	{name: "dma", program: "dma", tree: tree("dma"), version: unpacked("dma"), mechanisms: []string{"LOGIN"}, trustsAnyone: true, quirk: "does not check certificates"},
	{name: "sSMTP", program: "ssmtp", tree: tree("ssmtp"), version: unpacked("ssmtp"), mechanisms: []string{"LOGIN"}, trustsAnyone: true, quirk: "does not check certificates"},
	{name: "msmtpd", program: "msmtpd", tree: tree("msmtp-mta"), version: unpacked("msmtp-mta"), mechanisms: scram},
}

// tree is where the packages of a mail server are unpacked: they cannot be installed together.
func tree(name string) string {
	path, err := filepath.Abs(filepath.Join("..", "..", "dist", "servers", name))
	if err != nil {
		panic(err)
	}
	return path
}

// unpacked is the version of a package in its tree, of its own changelog.
func unpacked(name string) func() string {
	return func() string {
		file, err := os.Open(filepath.Join(tree(name), "usr", "share", "doc", name, "changelog.Debian.gz"))
		if err != nil {
			return ""
		}
		defer file.Close()
		text, err := gzip.NewReader(file)
		if err != nil {
			return ""
		}
		first, _ := bufio.NewReader(text).ReadString('\n')
		_, version, _ := strings.Cut(first, "(")
		version, _, _ = strings.Cut(version, ")")
		return version
	}
}

// goModule is the version of a module in a program of bin/.
func goModule(program, module string) func() string {
	return func() string {
		info, err := buildinfo.ReadFile(filepath.Join("..", "..", "bin", program))
		if err != nil {
			return ""
		}
		for _, dependency := range info.Deps {
			if dependency.Path == module {
				return dependency.Version
			}
		}
		return ""
	}
}

// debian is the version of an installed Debian package.
func debian(name string) func() string {
	return func() string {
		version, err := exec.Command("dpkg-query", "-W", "-f", "${Version}", name).Output()
		if err != nil {
			return ""
		}
		return string(version)
	}
}

// npm is the version of a package that npm put beside the programs.
func npm(name string) func() string {
	return func() string {
		content, err := os.ReadFile(filepath.Join("clients", "node_modules", name, "package.json"))
		if err != nil {
			return ""
		}
		var installed struct{ Version string }
		if err := json.Unmarshal(content, &installed); err != nil {
			return ""
		}
		return installed.Version
	}
}
