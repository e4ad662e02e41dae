// Package operatorca keeps the operator's own certificate authority. Relays show their state
// to clients of this CA only, so no tenant, not even one that can read a relay's Secrets, can
// pose as the operator.
package operatorca
