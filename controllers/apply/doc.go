// Package apply writes child objects: the first time with a Create, afterwards with
// server-side apply, only what the owner controls, and only when something differs.
package apply
