// Package message knows what mail is made of: it reads addresses by a strict grammar, and
// turns the content that a client submitted into what the relay stores: line ends
// normalised, trace and missing header fields added (RFC 6409 §8), private ones removed.
// Content is streamed; only its header is held in memory, up to MaxHeaderBytes.
package message
