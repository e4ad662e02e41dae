// Package recode makes a message fit for a way that cannot carry it as it is: lines of more
// than 998 octets (RFC 5322 §2.1.1) and, for servers without 8BITMIME (RFC 6152), octets above
// 127. It changes how single parts are encoded (RFC 2045 §6), never what they decode to, and
// nothing at all inside a multipart/signed (RFC 1847 §2.1).
//
// A message is read twice: a Scanner finds what has to change and makes a Plan of it, which
// then copies the message. Neither holds a body in memory.
package recode
