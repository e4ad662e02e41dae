//go:build e2e

package e2e

// What apps do, in Python and in shell. Each finds the relay by its binding alone.

// runner runs commands that come by HTTP, through the API server's proxy. Its port is open to
// the node even in a pod under the relay's policy, where probes come in. After what the
// command wrote comes a line with its exit status.
const (
	runner = `
import http.server, json, subprocess
class Runner(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        job = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()
        process = subprocess.Popen(job["command"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        process.stdin.write(job["stdin"].encode())
        process.stdin.close()
        while chunk := process.stdout.read1():
            self.wfile.write(chunk)
        self.wfile.write(b"\n` + runnerExit + `%d\n" % process.wait())
http.server.ThreadingHTTPServer(("", ` + runnerPort + `), Runner).serve_forever()
`
	runnerPort = "8080"
	runnerExit = "exit status "
)

// pythonLogin connects to a port of the relay and logs in.
const pythonLogin = `
import pathlib, smtplib, socket, ssl, sys, time
binding = {p.name: p.read_text() for p in pathlib.Path("` + bindings + `").iterdir() if p.is_file()}
context = ssl.create_default_context(cadata=binding["certificates"])

def login(implicit):
    if implicit:
        client = smtplib.SMTP_SSL(binding["host"], int(binding["port"]), context=context, timeout=20)
    else:
        client = smtplib.SMTP(binding["host"], int(binding["submission-port"]), timeout=20)
        client.starttls(context=context)
    client.login(binding["username"], binding["password"])
    return client

def message(sender, recipient, subject):
    return f"From: {sender}\r\nTo: {recipient}\r\nSubject: {subject}\r\n\r\nHello.\r\n"
`

// sendOne submits one message: implicit or starttls, sender, recipient, subject.
const sendOne = pythonLogin + `
mode, sender, recipient, subject = sys.argv[1:]
client = login(mode == "implicit")
client.sendmail(sender, [recipient], message(sender, recipient, subject))
client.quit()
`

// answerTXT is a DNS server with the TXT records of a file: each one's strings by its name.
const answerTXT = `
import json, pathlib, socket, struct
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", 5353))
while True:
    query, client = server.recvfrom(4096)
    end, labels = 12, []
    while query[end]:
        labels.append(query[end + 1:end + 1 + query[end]].decode().lower())
        end += 1 + query[end]
    strings = json.loads(pathlib.Path("` + recordsFile + `").read_text()).get(".".join(labels), [])
    known = len(strings) > 0 and query[end + 1:end + 3] == struct.pack(">H", 16)
    data = b"".join(bytes([len(s)]) + s.encode() for s in strings)
    answer = b"\xc0\x0c" + struct.pack(">HHIH", 16, 1, 1, len(data)) + data if known else b""
    head = query[:2] + (b"\x85\x80" if known else b"\x85\x83") + struct.pack(">HHHH", 1, int(known), 0, 0)
    server.sendto(head + query[12:end + 5] + answer, client)
`

const recordsFile = "/tmp/records.json"

// sendMany submits messages over one connection: sender, recipient, prefix, count.
const sendMany = pythonLogin + `
sender, recipient, prefix, count = sys.argv[1:]
client = login(True)
for i in range(int(count)):
    client.sendmail(sender, [recipient], message(sender, recipient, f"{prefix}{i}"))
client.quit()
`

// tokens is where an app finds the token of its service account.
const tokens = "/var/run/secrets/mailrelay"

// pythonTokenLogin connects to a port of the relay and logs in with a token.
const pythonTokenLogin = `
import pathlib, smtplib, ssl, sys, time
binding = {p.name: p.read_text() for p in pathlib.Path("` + bindings + `").iterdir() if p.is_file()}
context = ssl.create_default_context(cadata=binding["certificates"])

def login(mode, mechanism, token):
    if mode == "implicit":
        client = smtplib.SMTP_SSL(binding["host"], int(binding["port"]), context=context, timeout=20)
    else:
        client = smtplib.SMTP(binding["host"], int(binding["submission-port"]), timeout=20)
        client.starttls(context=context)
    client.ehlo()
    token = token or pathlib.Path("` + tokens + `/token").read_text()
    start = ("user=%s" if mechanism == "XOAUTH2" else "n,a=%s,") % binding["username"]
    response = start + "\1auth=Bearer " + token + "\1\1"
    client.auth(mechanism, lambda challenge=None: response if challenge is None else "\1")
    return client
`

// tokenLogin logs in and prints the reply: implicit or starttls, mechanism, token. An empty token
// is that of the pod.
const tokenLogin = pythonTokenLogin + `
try:
    login(*sys.argv[1:]).quit()
    print("235 logged in")
except smtplib.SMTPAuthenticationError as error:
    print(error.smtp_code, error.smtp_error.decode())
`

// tokenSession logs in, says so, and begins messages until one is refused, of which it prints
// the reply.
const tokenSession = pythonTokenLogin + `
client = login("implicit", "OAUTHBEARER", "")
print("logged in", flush=True)
while True:
    code, text = client.mail("checkout@shop.example.com")
    if code != 250:
        print(code, text.decode(), flush=True)
        break
    client.rset()
    time.sleep(0.1)
`

// dialogue speaks SMTP line by line and prints each reply, continued lines in one:
// tls | starttls | plain, lines. "{user}" stands for the user name and a wrong password as
// AUTH PLAIN wants them.
const dialogue = pythonLogin + `
import base64
wrong = base64.b64encode(b"\0%s\0wrong" % binding["username"].encode()).decode()
mode, lines = sys.argv[1], sys.argv[2:]
port = int(binding["port" if mode == "tls" else "submission-port"])
connection = socket.create_connection((binding["host"], port), 20)
if mode == "tls":
    connection = context.wrap_socket(connection, server_hostname=binding["host"])
stream = connection.makefile("rwb", 0)

def reply():
    parts = []
    while True:
        line = stream.readline().decode().rstrip()
        parts.append(line)
        if line[3:4] != "-":
            return " | ".join(parts)

def command(line):
    stream.write(line.encode() + b"\r\n")
    return reply()

reply()
if mode == "starttls":
    command("EHLO app")
    command("STARTTLS")
    connection = context.wrap_socket(connection, server_hostname=binding["host"])
    stream = connection.makefile("rwb", 0)
for line in lines:
    print(command(line.replace("{user}", wrong)))
`

// reach tries a TCP connection three times: host, port. It prints each outcome that it saw,
// "open" or "dropped"; anything else, such as a name that is not found, is an error.
const reach = `
import socket, sys
address = socket.getaddrinfo(sys.argv[1], int(sys.argv[2]), socket.AF_INET, socket.SOCK_STREAM)[0][4]
outcomes = set()
for _ in range(3):
    try:
        socket.create_connection(address, 2).close()
        outcomes.add("open")
    except TimeoutError:
        outcomes.add("dropped")
print(*sorted(outcomes))
`

// watchCertificate holds one session and makes new ones without a pause, until the relay has
// served a second certificate for two seconds or the time is over: seconds. It prints each
// new certificate's serial number as it is seen, and "failed" with what went wrong.
const watchCertificate = pythonLogin + `
seen, end = [], time.time() + float(sys.argv[1])
held = [login(True), login(False)]
while time.time() < end:
    try:
        client = login(len(seen) % 2 == 0)
        certificate = client.sock.getpeercert()["serialNumber"]
        client.quit()
        for other in held:
            other.noop()
    except Exception as error:
        print("failed", error, flush=True)
    if certificate not in seen:
        seen.append(certificate)
        print("serial", certificate, flush=True)
        if len(seen) == 2:
            end = time.time() + 2
for other in held:
    other.sendmail("` + sender + `", ["` + recipient + `"], message("` + sender + `", "` + recipient + `", "held"))
    other.quit()
print("done")
`

// connectTo asks both ports of the relay for a name, and trusts one CA: name, CA.
const connectTo = pythonLogin + `
name, trusted = sys.argv[1], ssl.create_default_context(cadata=sys.argv[2])
trusted.wrap_socket(socket.create_connection((binding["host"], int(binding["port"])), 20), server_hostname=name).close()
client = smtplib.SMTP(binding["host"], int(binding["submission-port"]), timeout=20)
client._host = name
client.starttls(context=trusted)
client.quit()
`

// keepConnecting connects to both ports without a pause until the file exists that is its
// argument: clients that trust what they read when they started, and clients that read it anew
// each time. It prints "failed" with what went wrong, and at the end how often each connected.
const keepConnecting = pythonLogin + `
import threading
stop, counts = pathlib.Path(sys.argv[1]), {}

def connect(kind, implicit):
    counts[kind] = 0
    while not stop.exists():
        try:
            trusted = context
            if kind.startswith("current"):
                trusted = ssl.create_default_context(cadata=pathlib.Path("` + bindings + `/certificates").read_text())
            if implicit:
                client = smtplib.SMTP_SSL(binding["host"], int(binding["port"]), context=trusted, timeout=20)
            else:
                client = smtplib.SMTP(binding["host"], int(binding["submission-port"]), timeout=20)
                client.starttls(context=trusted)
            client.noop()
            client.quit()
            counts[kind] += 1
        except Exception as error:
            print("failed", kind, error, flush=True)

print("trusts", len(context.get_ca_certs()), flush=True)
threads = [threading.Thread(target=connect, args=(f"{kind} {port}", port == 465)) for kind in ("previous", "current") for port in (465, 587)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for kind, count in sorted(counts.items()):
    print("connected", kind, count)
`

// clientScripts are the command lines of real clients, run by bash with the message on
// standard input. Their arguments are: sender, recipient. b is the binding; host and port
// are set, and implicit is "yes" on 465.
var clientScripts = map[string]string{
	"swaks": `[ $implicit = yes ] && tls=--tls-on-connect || tls=--tls
swaks --server "$host" --port "$port" $tls --tls-verify --tls-ca-path $b/certificates --auth PLAIN \
  --auth-user "$(cat $b/username)" --auth-password "$(cat $b/password)" --from "$1" --to "$2" --data -`,
	"swaks-LOGIN": `[ $implicit = yes ] && tls=--tls-on-connect || tls=--tls
swaks --server "$host" --port "$port" $tls --tls-verify --tls-ca-path $b/certificates --auth LOGIN --pipeline \
  --auth-user "$(cat $b/username)" --auth-password "$(cat $b/password)" --from "$1" --to "$2" --data -`,
	"msmtp": `[ $implicit = yes ] && starttls=off || starttls=on
umask 077
cat >/tmp/msmtprc <<END
account default
host $host
port $port
tls on
tls_starttls $starttls
tls_trust_file $b/certificates
auth plain
user $(cat $b/username)
password $(cat $b/password)
from $1
END
msmtp --file=/tmp/msmtprc "$2"`,
	"curl": `[ $implicit = yes ] && scheme=smtps || scheme=smtp
curl --silent --show-error --ssl-reqd --url "$scheme://$host:$port" --cacert $b/certificates \
  --user "$(cat $b/username):$(cat $b/password)" --mail-from "$1" --mail-rcpt "$2" --upload-file -`,
}

// clientPrologue comes before each of clientScripts.
const clientPrologue = `set -eu
b=` + bindings + ` host=$(cat $b/host) implicit=$3
[ $implicit = yes ] && port=$(cat $b/port) || port=$(cat $b/submission-port)
`
