// Package attack plays an attacker against the relay's binary, on both of its ports, with a
// provider behind it that keeps every byte it is sent. Each attack prints what it tried, how
// often, and what became of it; one that gets through fails the run. "make attack" runs it.
package attack
