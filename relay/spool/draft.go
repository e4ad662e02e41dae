package spool

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// smallBody is up to how many bytes content goes into the database with the envelope, for
// one write and one fsync. Larger content would be copied too often there.
const smallBody = 128 << 10

// errDraftOver means that a draft was used after it was committed or aborted.
var errDraftOver = errors.New("the draft is committed or aborted")

// draft is a Draft. Its first smallBody bytes stay in the buffer, unless those of all drafts
// are too much; with one more it becomes a file, and the buffer gathers writes.
type draft struct {
	store *Store
	id    string
	// outcome drafts may be written on a disk that is low.
	outcome bool
	buffer  buffer
	file    vfs.File
	inFile  bool
	size    int64
	sum     uint32
	err     error
}

// Create implements Spool.
func (s *Store) Create(ctx context.Context) (Draft, error) { return s.create(ctx, false) }

// CreateOutcome implements Spool.
func (s *Store) CreateOutcome(ctx context.Context) (Draft, error) { return s.create(ctx, true) }

func (s *Store) create(ctx context.Context, outcome bool) (Draft, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.active.Done()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !outcome && s.space.isLow() && !s.makeRoom(ctx) {
		return nil, ErrLowSpace
	}
	return &draft{store: s, id: newID(s.now()), outcome: outcome, buffer: buffer{shared: &s.buffered}}, nil
}

// ID implements Draft.
func (d *draft) ID() string { return d.id }

// Write implements io.Writer. After an error the draft can only be aborted.
func (d *draft) Write(p []byte) (int, error) {
	written := 0
	for d.err == nil && written < len(p) {
		room := d.buffer.room()
		if len(room) == 0 {
			d.makeRoom()
			continue
		}
		n := copy(room, p[written:])
		d.sum = crc32.Update(d.sum, castagnoli, room[:n])
		d.buffer.filled += n
		d.size += int64(n)
		written += n
	}
	return written, d.err
}

// makeRoom enlarges the buffer, or empties it.
func (d *draft) makeRoom() {
	limit := smallBody
	if d.inFile {
		limit = chunkSize
	}
	if !d.buffer.grow(limit) {
		d.flush()
	}
}

// flush writes the buffer to the draft's file.
func (d *draft) flush() {
	s := d.store
	if err := s.Err(); err != nil {
		d.drop(err)
		return
	}
	fsys := s.layout.fs
	if d.outcome {
		fsys = s.space.outcomes
	} else if s.space.isLow() {
		d.drop(ErrLowSpace)
		return
	}
	if !d.inFile {
		file, err := fsys.Create(s.layout.body(d.id), vfs.WriteCategoryUnspecified)
		if err != nil {
			d.drop(diskError("create a file", err))
			return
		}
		d.file, d.inFile = file, true
	}
	s.space.used(d.buffer.filled)
	if err := d.buffer.writeTo(d.file); err != nil {
		d.drop(diskError("write", err))
	}
}

// diskError tells a full disk from other errors.
func diskError(doing string, err error) error {
	if isFull(err) {
		return fmt.Errorf("%w: %s: %w", ErrLowSpace, doing, err)
	}
	return fmt.Errorf("%s in the spool: %w", doing, err)
}

// drop ends the draft because of err and leaves nothing of it.
func (d *draft) drop(err error) {
	d.end(err)
	if d.file != nil {
		_ = d.file.Close()
		d.file = nil
	}
	if d.inFile {
		d.store.removeBody(d.id)
	}
}

// end makes the draft unusable.
func (d *draft) end(err error) {
	d.err = err
	d.buffer.free()
}

// Abort implements Draft.
func (d *draft) Abort() {
	if d.err == nil {
		d.drop(errDraftOver)
	}
}

// Commit implements Draft.
func (d *draft) Commit(ctx context.Context, envelope *Envelope, others ...*Envelope) error {
	if d.err != nil {
		return d.err
	}
	s := d.store
	if err := s.begin(); err != nil {
		return err
	}
	defer s.active.Done()
	if err := ctx.Err(); err != nil {
		return err
	}
	envelope.ID, envelope.Size = d.id, d.size
	if err := d.syncFile(); err != nil {
		return err
	}
	if err := d.commit(envelope, others); err != nil {
		return err
	}
	s.messages.Add(1)
	s.bytes.Add(d.size)
	s.notify(envelope.Clone())
	return nil
}

// syncFile makes the draft's file durable, if it has one: content before the name, both
// before the envelope that tells of them.
func (d *draft) syncFile() error {
	if !d.inFile {
		return nil
	}
	if d.buffer.filled > 0 {
		d.flush()
	}
	if d.err != nil {
		return d.err
	}
	file := d.file
	d.file = nil
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return d.syncFailed(err)
	}
	s := d.store
	if err := syncDir(s.layout.fs, s.layout.bodies); err != nil {
		return d.syncFailed(err)
	}
	return nil
}

// syncFailed ends the draft after a failed fsync. On a full disk nothing but this draft is
// lost. Any other cause may have hit what was synced earlier as well, and trying again may
// report a success that is none.
func (d *draft) syncFailed(err error) error {
	err = diskError("sync", err)
	if !errors.Is(err, ErrLowSpace) {
		d.store.fail(err)
	}
	d.drop(err)
	return err
}

// commit writes the envelopes, and small content, in one batch.
func (d *draft) commit(envelope *Envelope, others []*Envelope) error {
	s := d.store
	told := idsOf(others)
	defer s.keys.lock(told)()
	own := content{inFile: d.inFile, size: d.size, sum: d.sum}
	batch := s.db.NewBatchWithSize(d.buffer.filled + envelopeBytes + recipientBytes*len(envelope.Recipients))
	died, err := s.replace(batch, others)
	if err == nil {
		err = set(batch, envelopeKey, own, envelope)
	}
	var body []byte
	if err == nil && !d.inFile {
		body, err = d.addBody(batch)
	}
	if err != nil {
		_ = batch.Close()
		d.drop(err)
		return err
	}
	s.space.used(batch.Len())
	// Before the message is in the database, where others could find and remove it.
	s.recent.add(&message{own, envelope.Clone(), body})
	// From here on the message may be durable even if apply fails: its file must stay.
	d.end(errDraftOver)
	// The batch stays open: its memory is that of the message in recent.
	if err := s.guard(func() error { return batch.Commit(pebble.Sync) }); err != nil {
		s.recent.drop(d.id)
		return err
	}
	s.recent.drop(told...)
	s.dead.add(died...)
	return nil
}

// addBody adds the content to a batch and returns where it is there.
func (d *draft) addBody(batch *pebble.Batch) ([]byte, error) {
	op := batch.SetDeferred(1+len(d.id), d.buffer.filled)
	copy(op.Key, key(bodyKey, d.id))
	d.buffer.copyTo(op.Value)
	return op.Value, op.Finish()
}
