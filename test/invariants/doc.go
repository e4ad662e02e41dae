// Package invariants holds the rules about the code itself, as tests.
package invariants
