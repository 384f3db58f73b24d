package proxyproto

import (
	"encoding/binary"
	"hash/crc32"
)

// typeCRC is the TLV with a checksum of the whole header, counted with zeros in its place. Who reads
// it has to verify it.
const typeCRC = 0x03

// tlvHead is the length of a TLV's type and length.
const tlvHead = 1 + 2

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checkTLVs walks the TLVs of a header of version 2, which begin at offset at, and verifies the checksum if
// there is one.
func checkTLVs(header []byte, at int) bool {
	for at < len(header) {
		if len(header)-at < tlvHead {
			return false
		}
		kind, size := header[at], int(binary.BigEndian.Uint16(header[at+1:]))
		at += tlvHead
		if len(header)-at < size {
			return false
		}
		if kind == typeCRC && (size != crc32.Size || !sums(header, at)) {
			return false
		}
		at += size
	}
	return true
}

// sums tells whether the checksum at that offset is the header's.
func sums(header []byte, at int) bool {
	var zeros [crc32.Size]byte
	sum := crc32.Update(0, castagnoli, header[:at])
	sum = crc32.Update(sum, castagnoli, zeros[:])
	sum = crc32.Update(sum, castagnoli, header[at+crc32.Size:])
	return sum == binary.BigEndian.Uint32(header[at:])
}
