package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// measured is what one round of one server showed.
type measured struct {
	// accept and endToEnd are messages a second, from the first connect to the last 250, and
	// to the last message at the sink.
	accept, endToEnd float64
	// median and p99 are the milliseconds that a message took to its 250.
	median, p99 float64
	// cpu is the server's, clients and sink the others', in seconds for 10,000 messages.
	cpu, clients, sink float64
	// memory is the server's peak in MiB.
	memory float64
}

// metric is a column of the table. better says whether a higher value is better, and is 0
// where there is no better.
type metric struct {
	name, title string
	of          func(measured) float64
	better      int
}

var metrics = []metric{
	{"accept", "accepted/s", func(m measured) float64 { return m.accept }, +1},
	{"end_to_end", "end to end/s", func(m measured) float64 { return m.endToEnd }, +1},
	{"median", "median ms", func(m measured) float64 { return m.median }, -1},
	{"p99", "p99 ms", func(m measured) float64 { return m.p99 }, -1},
	{"cpu", "CPU s/10k", func(m measured) float64 { return m.cpu }, -1},
	{"memory", "peak MiB", func(m measured) float64 { return m.memory }, -1},
	{"", "clients' CPU", func(m measured) float64 { return m.clients }, 0},
	{"", "sink's CPU", func(m measured) float64 { return m.sink }, 0},
}

// results are the rounds of each server by load.
type results struct {
	options
	order  []load
	rounds map[string]map[string][]measured
}

func newResults(o options) *results {
	return &results{options: o, rounds: map[string]map[string][]measured{}}
}

func (r *results) add(l load, peer string, m measured) {
	if r.rounds[l.name] == nil {
		r.order = append(r.order, l)
		r.rounds[l.name] = map[string][]measured{}
	}
	r.rounds[l.name][peer] = append(r.rounds[l.name][peer], m)
}

func (r *results) print(w io.Writer) {
	hop := "TLS"
	if r.plaintext {
		hop = "plaintext"
	}
	fmt.Fprintf(w, "%d rounds in turns, %d clients, %v each; %s to the sink; both sync a message to the disk before its 250.\n",
		r.options.rounds, r.connections, r.duration, hop)
	fmt.Fprintln(w, "Each figure is the median of the rounds; CPU is in seconds for 10,000 messages, memory as PSS.")
	for _, l := range r.order {
		fmt.Fprintf(w, "\n%s (%s)\n", l.name, l.what)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		for _, m := range metrics {
			fmt.Fprintf(t, "\t%s", m.title)
		}
		fmt.Fprint(t, "\t\n")
		for _, peer := range []string{"relay", "postfix"} {
			fmt.Fprint(t, peer)
			for _, m := range metrics {
				fmt.Fprintf(t, "\t%.4g", median(values(r.rounds[l.name][peer], m.of)))
			}
			fmt.Fprint(t, "\t\n")
		}
		_ = t.Flush()
	}
	if r.server != "" {
		return
	}
	fmt.Fprintln(w, "\nHow many times better than Postfix, each the median over the rounds:")
	for _, l := range r.order {
		for _, m := range metrics {
			if m.better != 0 {
				fmt.Fprintf(w, "ratio %s_%s %.2f\n", l.name, m.name, r.ratio(l, m))
			}
		}
	}
}

// ratio compares round by round: what else the machine did hit both.
func (r *results) ratio(l load, m metric) float64 {
	relay, postfix := r.rounds[l.name]["relay"], r.rounds[l.name]["postfix"]
	var ratios []float64
	for i := range relay {
		ratio := m.of(relay[i]) / m.of(postfix[i])
		if m.better < 0 {
			ratio = 1 / ratio
		}
		ratios = append(ratios, ratio)
	}
	return median(ratios)
}

func values(rounds []measured, of func(measured) float64) []float64 {
	var v []float64
	for _, m := range rounds {
		v = append(v, of(m))
	}
	return v
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
