// The Go clients of the suite, a module of their own: the relay needs none of their packages.
module github.com/mailrelay-dev/mailrelay-operator/test/interop/clients/go

go 1.26

require (
	github.com/wneessen/go-mail v0.8.1
	gopkg.in/gomail.v2 v2.0.0-20160411212932-81ebce5c23df
)

require (
	golang.org/x/crypto v0.54.0 // indirect
	golang.org/x/text v0.40.0 // indirect
	gopkg.in/alexcesaro/quotedprintable.v3 v3.0.0-20150716171945-2caba252f4dc // indirect
)
