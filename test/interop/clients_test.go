//go:build interop

package interop

import (
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
	{name: "mutt", program: "mutt", version: debian("mutt"), mechanisms: without("EXTERNAL"), quirk: "chooses SCRAM-SHA-256-PLUS where offered, and fails"},
	{name: "sendEmail", program: "sendemail", version: debian("sendemail"), mechanisms: []string{"LOGIN"}, starttlsOnly: true, changes: strings.NewReplacer("\n..", "\n."), quirk: "chooses the mechanism itself; takes the dot of lines that begin with one"},
	{name: "git send-email", program: "git-send-email", version: debian("git-email"), mechanisms: passwords, quirk: "names the user as authorization identity"},
	{name: "Perl Net::SMTP", program: "net-smtp.pl", version: debian("perl"), mechanisms: passwords},
	{name: "Perl Email::Sender", program: "email-sender.pl", version: debian("libemail-sender-perl"), mechanisms: plain, quirk: "names the user as authorization identity"},
	{name: "Python smtplib", program: "smtplib.py", version: debian("python3"), mechanisms: []string{"PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2"}, quirk: "adds no Date, no Message-ID"},
	{name: "Django", program: "django.py", version: debian("python3-django"), mechanisms: plain, trustsAnyone: true, quirk: "this version does not check certificates"},
	{name: "aiosmtplib", program: "aiosmtplib.py", version: debian("python3-aiosmtplib"), mechanisms: passwords},
	{name: "PHPMailer", program: "phpmailer.php", version: debian("libphp-phpmailer"), mechanisms: xoauth2},
	{name: "Symfony Mailer", program: "symfony.php", version: debian("php-symfony-mailer"), mechanisms: []string{"LOGIN", "XOAUTH2"}, quirk: "offers a token to LOGIN and PLAIN before XOAUTH2"},
	{name: "PEAR Net_SMTP", program: "net-smtp.php", version: debian("php-net-smtp"), mechanisms: xoauth2},
	{name: "Ruby net/smtp", program: "net-smtp.rb", version: debian("ruby"), mechanisms: passwords},
	{name: "Ruby mail", program: "mail.rb", version: debian("ruby-mail"), mechanisms: passwords, changes: strings.NewReplacer("\n.\n", "\n..\n"), quirk: "makes a line of one dot a line of two"},
	{name: "JavaMail", program: "javamail", version: debian("libmail-java"), mechanisms: xoauth2},
	{name: "Jakarta Mail", program: "jakarta-mail", version: debian("libjakarta-mail-java"), mechanisms: xoauth2},
	{name: "gsasl", program: "gsasl", version: debian("gsasl"), mechanisms: without("OAUTHBEARER", "XOAUTH2"), starttlsOnly: true, quirk: "SCRAM-SHA-256 only with --no-cb"},
	{name: "Nodemailer", program: "nodemailer.js", version: npm("nodemailer"), mechanisms: xoauth2},
	{name: "Go net/smtp", version: runtime.Version, mechanisms: plain, quirk: "asks for SMTPUTF8 and 8BITMIME always"},
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
