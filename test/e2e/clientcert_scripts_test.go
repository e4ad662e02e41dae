//go:build e2e

package e2e

// What apps with a client certificate do.

// pythonCertificate connects to a port of the relay with a client certificate and logs in with it.
const pythonCertificate = pythonLogin + `
import os

def connect(implicit, *pair):
    context = ssl.create_default_context(cadata=binding["certificates"])
    if pair:
        context.load_cert_chain(*pair)
    if implicit:
        client = smtplib.SMTP_SSL(binding["host"], int(binding["port"]), context=context, timeout=20)
    else:
        client = smtplib.SMTP(binding["host"], int(binding["submission-port"]), timeout=20)
        client.starttls(context=context)
    client.ehlo()
    return client

def external(client):
    return client.auth("EXTERNAL", lambda challenge=None: binding["username"])
`

// certificateLogin logs in and submits a message: implicit or starttls; whose pair to show, which
// is "own" for that of the binding, "given" for that on standard input, or "none"; external or
// password; sender, recipient, subject. It prints what the relay answered to the login.
const certificateLogin = pythonCertificate + `
mode, whose, how, sender, recipient, subject = sys.argv[1:]
pair = {"own": ["` + bindings + `/tls.crt", "` + bindings + `/tls.key"], "given": ["/tmp/pair.pem"], "none": []}[whose]
if whose == "given":
    pathlib.Path("/tmp/pair.pem").write_text(sys.stdin.read())
client = connect(mode == "implicit", *pair)
try:
    if how == "external":
        reply = external(client)
    else:
        reply = client.login(binding["username"], binding["password"])
    client.sendmail(sender, [recipient], message(sender, recipient, subject))
    client.quit()
except smtplib.SMTPAuthenticationError as error:
    reply = error.args
print(reply[0], reply[1].decode())
`

// watchPair logs in all the time with the pair of the binding as it is and with the first that was
// there, until a second key was used for two seconds or the time is over: seconds. It prints
// "failed" with what went wrong, and at the end how many logins and pairs there were.
const watchPair = pythonCertificate + `
first = "/tmp/first.pem"
pathlib.Path(first).write_text(binding["tls.crt"] + binding["tls.key"])
seen, count, end = set(), 0, time.time() + float(sys.argv[1])
while time.time() < end:
    # One directory, so that certificate and key are of one version.
    directory = os.path.realpath("` + bindings + `/..data")
    try:
        pair = pathlib.Path(directory, "tls.key").read_text()
        for number, shown in enumerate([[directory + "/tls.crt", directory + "/tls.key"], [first]]):
            client = connect((count + number) % 2 == 0, *shown)
            external(client)
            client.quit()
            count += 1
    except FileNotFoundError:
        continue
    except Exception as error:
        print("failed", error)
        continue
    if pair not in seen:
        seen.add(pair)
        if len(seen) == 2:
            end = time.time() + 2
print("logins", count)
print("pairs", len(seen))
`

// certificateScripts are the command lines of real clients that log in with a certificate, with
// what clientPrologue gives them.
var certificateScripts = map[string]string{
	"curl": `[ $implicit = yes ] && scheme=smtps || scheme=smtp
curl --silent --show-error --ssl-reqd --url "$scheme://$host:$port" --cacert $b/certificates \
  --cert $b/tls.crt --key $b/tls.key --login-options AUTH=EXTERNAL --user "$(cat $b/username):" \
  --mail-from "$1" --mail-rcpt "$2" --upload-file -`,
	"msmtp": `[ $implicit = yes ] && starttls=off || starttls=on
umask 077
cat >/tmp/msmtprc <<END
account default
host $host
port $port
tls on
tls_starttls $starttls
tls_trust_file $b/certificates
tls_cert_file $b/tls.crt
tls_key_file $b/tls.key
auth external
user $(cat $b/username)
from $1
END
msmtp --file=/tmp/msmtprc "$2"`,
}
