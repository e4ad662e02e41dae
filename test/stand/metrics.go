package stand

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// client keeps no connections: a relay is killed at any moment.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}

func fetch(ctx context.Context, url string, w io.Writer) (status int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(w, response.Body)
	return response.StatusCode, err
}

// Metric is the sum of the series of a metric.
func (r *Relay) Metric(ctx context.Context, name string) (float64, error) {
	var page bytes.Buffer
	if _, err := fetch(ctx, "http://"+r.metrics+"/metrics", &page); err != nil {
		return 0, err
	}
	sum, found := 0.0, false
	for lines := bufio.NewScanner(&page); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), name)
		if !ok || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		value, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		if err != nil {
			return 0, fmt.Errorf("metric %s: %w", name, err)
		}
		sum += value
		found = true
	}
	if !found {
		return 0, fmt.Errorf("the relay has no metric %s", name)
	}
	return sum, nil
}

// Drained waits until the queue is empty.
func (r *Relay) Drained(ctx context.Context) error {
	for {
		left, err := r.Metric(ctx, "mailrelay_queue_messages")
		if err == nil && left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%v messages are left in the queue (%w)", left, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
