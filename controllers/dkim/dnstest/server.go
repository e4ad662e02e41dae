// Package dnstest is a DNS server on loopback whose records a test sets. It stands in for the
// resolver that the operator asks.
package dnstest

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// udpLimit is what an answer over UDP may have at least; longer ones are cut, and asked for again
// over TCP.
const udpLimit = 512

// Server answers for the names that it was told of; all others do not exist.
type Server struct {
	// Address is host:port, for UDP and TCP.
	Address string

	udp net.PacketConn
	tcp net.Listener

	mu      sync.Mutex
	records map[string][]string
	aliases map[string]string
	failing map[string]bool
	silent  bool
	asked   map[string]int
	overTCP int
}

// Start listens until Close.
func Start(ctx context.Context) (*Server, error) {
	udp, tcp, err := listen(ctx)
	if err != nil {
		return nil, fmt.Errorf("listen for DNS: %w", err)
	}
	s := &Server{
		Address: udp.LocalAddr().String(), udp: udp, tcp: tcp,
		records: map[string][]string{}, aliases: map[string]string{}, failing: map[string]bool{}, asked: map[string]int{},
	}
	go s.serveUDP()
	go s.serveTCP()
	return s, nil
}

// listen finds a port that is free for both: one that is for UDP may be taken for TCP.
func listen(ctx context.Context) (udp net.PacketConn, tcp net.Listener, err error) {
	var config net.ListenConfig
	for range 20 {
		if tcp, err = config.Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
			return nil, nil, err
		}
		if udp, err = config.ListenPacket(ctx, "udp", tcp.Addr().String()); err == nil {
			return udp, tcp, nil
		}
		_ = tcp.Close()
	}
	return nil, nil, err
}

// Close stops the server.
func (s *Server) Close() {
	_ = s.udp.Close()
	_ = s.tcp.Close()
}

// Set makes the name have these TXT records; none takes the name away.
func (s *Server) Set(name string, records ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.records, name)
	if len(records) > 0 {
		s.records[name] = records
	}
}

// Alias makes name a CNAME of target.
func (s *Server) Alias(name, target string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.aliases[name] = target
}

// Fail makes every answer about the name SERVFAIL, or not any more.
func (s *Server) Fail(name string, fails bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing[name] = fails
}

// Silence makes the server answer nothing, or not any more.
func (s *Server) Silence(silent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent = silent
}

// Asked is how often the server was asked for a name.
func (s *Server) Asked(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[name]
}

// OverTCP is how often the server was asked over TCP.
func (s *Server) OverTCP() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.overTCP
}

func (s *Server) serveUDP() {
	buffer := make([]byte, 4096)
	for {
		n, from, err := s.udp.ReadFrom(buffer)
		if err != nil {
			return
		}
		if answer := s.answer(buffer[:n], udpLimit); answer != nil {
			_, _ = s.udp.WriteTo(answer, from)
		}
	}
}

func (s *Server) serveTCP() {
	for {
		connection, err := s.tcp.Accept()
		if err != nil {
			return
		}
		go s.serveConnection(connection)
	}
}

func (s *Server) serveConnection(connection net.Conn) {
	defer connection.Close()
	for {
		var length uint16
		if binary.Read(connection, binary.BigEndian, &length) != nil {
			return
		}
		query := make([]byte, length)
		if _, err := io.ReadFull(connection, query); err != nil {
			return
		}
		s.mu.Lock()
		s.overTCP++
		s.mu.Unlock()
		if answer := s.answer(query, 1<<16); answer != nil {
			_, _ = connection.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
		}
	}
}

// answer is nil for what gets none.
func (s *Server) answer(query []byte, limit int) []byte {
	var message dnsmessage.Message
	if message.Unpack(query) != nil || len(message.Questions) != 1 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	question := message.Questions[0]
	name := strings.ToLower(strings.TrimSuffix(question.Name.String(), "."))
	s.asked[name]++
	if s.silent {
		return nil
	}
	reply := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: message.ID, Response: true, RecursionDesired: true, RecursionAvailable: true},
		Questions: message.Questions,
	}
	if s.failing[name] {
		reply.RCode = dnsmessage.RCodeServerFailure
	} else {
		s.fill(&reply, name)
	}
	packed, err := reply.Pack()
	if err == nil && len(packed) > limit {
		reply.Answers, reply.Truncated = nil, true
		packed, err = reply.Pack()
	}
	if err != nil {
		return nil
	}
	return packed
}

func (s *Server) fill(reply *dnsmessage.Message, name string) {
	target, isAlias := s.aliases[name]
	if isAlias {
		reply.Answers = append(reply.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: nameOf(name), Class: dnsmessage.ClassINET},
			Body:   &dnsmessage.CNAMEResource{CNAME: nameOf(target)},
		})
		name = target
	}
	records := s.records[name]
	if len(records) == 0 {
		reply.RCode = dnsmessage.RCodeNameError
	}
	for _, record := range records {
		reply.Answers = append(reply.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: nameOf(name), Class: dnsmessage.ClassINET},
			Body:   &dnsmessage.TXTResource{TXT: split(record)},
		})
	}
}

func nameOf(name string) dnsmessage.Name { return dnsmessage.MustNewName(name + ".") }

// split cuts a text into strings of a TXT record.
func split(text string) []string {
	var parts []string
	for len(text) > 255 {
		parts, text = append(parts, text[:255]), text[255:]
	}
	return append(parts, text)
}
