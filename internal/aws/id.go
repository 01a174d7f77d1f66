package aws

import (
	"crypto/rand"
	"encoding/hex"
	"math/big"
)

// HexID returns n random lower-case hex digits: EC2 ids have 17, ELB ids 16, ECS task ids 32.
func HexID(n int) string {
	b := make([]byte, (n+1)/2)
	rand.Read(b) // never fails: crypto/rand aborts the process instead
	return hex.EncodeToString(b)[:n]
}

// Digits returns n random decimal digits that do not begin with 0, as in "ecs-svc/<19 digits>".
func Digits(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = digit(i == 0)
	}
	return string(b)
}

func digit(nonZero bool) byte {
	low := int64(0)
	if nonZero {
		low = 1
	}
	d, _ := rand.Int(rand.Reader, big.NewInt(10-low))
	return byte('0' + low + d.Int64())
}

// UUID returns a random (version 4) UUID with dashes.
func UUID() string {
	b := make([]byte, 16)
	rand.Read(b)
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// Token returns n characters of [A-Za-z0-9_-], as in service-deployment ids.
func Token(n int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	b := make([]byte, n)
	rand.Read(b)
	for i := range b {
		b[i] = alphabet[b[i]&63]
	}
	return string(b)
}

// Random returns n characters chosen at random from an alphabet of at most 256 bytes.
func Random(alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		k, _ := rand.Int(rand.Reader, big.NewInt(int64(len(alphabet))))
		b[i] = alphabet[k.Int64()]
	}
	return string(b)
}
