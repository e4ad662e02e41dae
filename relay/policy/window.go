package policy

import "time"

// slots is into how many parts a period is divided. What is taken is forgotten a slot at a
// time, so a period can last up to a slot longer than asked for, but never shorter.
const slots = 60

// window counts what was taken within the last period.
type window struct {
	kind   int
	limit  int
	period time.Duration

	// start is when the first was taken. Time is counted from there: a difference between two
	// times does not jump when the clock is set.
	start time.Time
	// counts are those of the slots up to newest, by number modulo their length. One more than
	// a period has, since a period can begin in the middle of one.
	counts [slots + 1]int
	newest int64
	used   int
	// rest is how long nothing can be taken after more than the limit was at once.
	rest time.Time
}

func (w *window) same(other *window) bool {
	return w.kind == other.kind && w.limit == other.limit && w.period == other.period
}

func (w *window) slot() time.Duration { return (w.period + slots - 1) / slots }

func (w *window) number(t time.Time) int64 { return int64(t.Sub(w.start) / w.slot()) }

func (w *window) at(number int64) *int { return &w.counts[number%int64(len(w.counts))] }

// advance forgets what is older than a period.
func (w *window) advance(now time.Time) {
	if w.used == 0 {
		return
	}
	number := w.number(now)
	if number-w.newest > slots {
		w.counts, w.used = [slots + 1]int{}, 0
		return
	}
	for w.newest < number {
		w.newest++
		w.used -= *w.at(w.newest)
		*w.at(w.newest) = 0
	}
}

// wait returns how long it takes until n can be added to what was taken.
func (w *window) wait(now time.Time, n int) time.Duration {
	if rest := w.rest.Sub(now); rest > 0 {
		return rest
	}
	w.advance(now)
	used := w.used
	fits := func() bool { return used+n <= w.limit || used == 0 }
	if fits() {
		return 0
	}
	for number := max(w.newest-slots, 0); number <= w.newest && used > 0; number++ {
		used -= *w.at(number)
		if fits() {
			return w.start.Add(time.Duration(number+slots+1) * w.slot()).Sub(now)
		}
	}
	return w.period
}

// idle reports whether nothing counts any more.
func (w *window) idle(now time.Time) bool {
	w.advance(now)
	return w.used == 0 && !w.rest.After(now)
}

func (w *window) add(now time.Time, n int) {
	w.advance(now)
	if w.used == 0 {
		w.start, w.newest, w.counts = now, 0, [slots + 1]int{}
	}
	*w.at(w.newest) += n
	w.used += n
	if n > w.limit {
		periods := (n + w.limit - 1) / w.limit
		w.rest = now.Add(time.Duration(periods) * w.period)
	}
}

func (w *window) remove(taken time.Time, n int) {
	if n > w.limit {
		w.rest = time.Time{}
	}
	number := w.number(taken)
	if w.used == 0 || number < 0 || number > w.newest || w.newest-number > slots {
		return
	}
	count := w.at(number)
	n = min(n, *count)
	*count -= n
	w.used -= n
}
