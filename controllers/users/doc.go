// Package users spreads the users of a relay over shards, each a Secret of its own.
package users
