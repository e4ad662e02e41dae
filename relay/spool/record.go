package spool

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
)

// The database has four kinds of keys, each a letter followed by the queue id.
const (
	envelopeKey   = 'e' // a record: a message of the queue
	bodyKey       = 'b' // the content of a small message
	deadKey       = 'd' // a record: a dead letter
	quarantineKey = 'q' // a record that was taken out of the queue
)

func key(kind byte, id string) []byte {
	return append([]byte{kind}, id...)
}

const (
	recordVersion  = 1
	contentLen     = 14
	inFileFlag     = 1
	deadFlag       = 2
	recordSizeAt   = 2
	recordSumAt    = 10
	recordFlagByte = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// content is the fixed head of a record. It tells where the content is and how to know it
// again, without a look at the envelope: a start reads only this of each message.
type content struct {
	inFile bool
	// dead means that a dead letter has the same content.
	dead bool
	size int64
	sum  uint32
}

// encodeRecord puts the content's description before the envelope's JSON.
func encodeRecord(c content, e *Envelope) ([]byte, error) {
	envelope, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode the envelope of %s: %w", e.ID, err)
	}
	record := make([]byte, contentLen, contentLen+len(envelope))
	record[0] = recordVersion
	if c.inFile {
		record[recordFlagByte] |= inFileFlag
	}
	if c.dead {
		record[recordFlagByte] |= deadFlag
	}
	binary.BigEndian.PutUint64(record[recordSizeAt:], uint64(c.size))
	binary.BigEndian.PutUint32(record[recordSumAt:], c.sum)
	return append(record, envelope...), nil
}

// decodeContent reads the head of a record.
func decodeContent(record []byte) (content, error) {
	if len(record) < contentLen {
		return content{}, fmt.Errorf("record of %d bytes is too short", len(record))
	}
	if record[0] != recordVersion {
		return content{}, fmt.Errorf("record of unknown version %d", record[0])
	}
	return content{
		inFile: record[recordFlagByte]&inFileFlag != 0,
		dead:   record[recordFlagByte]&deadFlag != 0,
		size:   int64(binary.BigEndian.Uint64(record[recordSizeAt:])),
		sum:    binary.BigEndian.Uint32(record[recordSumAt:]),
	}, nil
}

// decodeEnvelope reads the envelope of a record.
func decodeEnvelope(record []byte) (*Envelope, error) {
	if _, err := decodeContent(record); err != nil {
		return nil, err
	}
	envelope := new(Envelope)
	if err := json.Unmarshal(record[contentLen:], envelope); err != nil {
		return nil, fmt.Errorf("decode the envelope: %w", err)
	}
	return envelope, nil
}
