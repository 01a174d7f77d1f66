package wire

import (
	"net/url"
	"reflect"
	"testing"
	"time"

	"fairlead/internal/aws"
)

// sample has every kind of member.
type sample struct {
	Text   *string            `json:"Text" query:"T"`
	Number *int32             `json:"Number"`
	Long   *int64             `json:"Long"`
	Real   *float64           `json:"Real"`
	Flag   *bool              `json:"Flag"`
	Blob   []byte             `json:"Blob"`
	When   *time.Time         `json:"When"`
	Date   *time.Time         `json:"Date" time:"iso8601"`
	Inner  *inner             `json:"Inner"`
	Inners []inner            `json:"Inners"`
	Words  []string           `json:"Words" emin:"1" emax:"3" epattern:"[a-z]*"`
	Flat   []string           `json:"Flat" flat:"true"`
	Map    map[string]string  `json:"Map"`
	Maps   map[string][]int64 `json:"Maps" flat:"true"`
}

type inner struct {
	Text *string `json:"Text" required:"true" max:"3"`
}

// roundTrip decodes, validates and encodes in every protocol: nothing may panic, and what was
// decoded from JSON must decode from our JSON to the same.
func roundTrip(t *testing.T, c *call) {
	v := reflect.ValueOf(new(sample)).Elem()
	sh := newShapes().of(v.Type())
	if codecFor(c.protocol).decode(c, sh, v) != nil {
		return
	}
	c.api, c.op = &aws.API{Protocol: c.protocol}, &endpoint{name: "Op", wrapper: "OpResult"}
	validate(c.api, sh, v)
	for _, p := range []aws.Protocol{aws.AWSQuery, aws.EC2Query} {
		codecFor(p).encode(c, sh, v)
	}
	back := reflect.ValueOf(new(sample)).Elem()
	if err := decodeCBOR(cborCodec{}.encode(c, sh, v), sh, back); err != nil {
		t.Fatalf("our own answer: %v", err)
	}
	first := jsonCodec{}.encode(c, sh, v)
	again := reflect.ValueOf(new(sample)).Elem()
	if err := decodeJSON(first, sh, again); err != nil {
		t.Fatalf("our own answer: %v\n%s", err, first)
	}
	if second := (jsonCodec{}).encode(c, sh, again); string(second) != string(first) {
		t.Errorf("got  %s\nwant %s", second, first)
	}
}

func FuzzDecodeJSON(f *testing.F) {
	for _, seed := range []string{
		`{"Text":"a","Number":1.0,"Long":9223372036854775807,"Real":"NaN","Flag":true}`,
		`{"Blob":"YQ==","When":1.5,"Date":"2026-01-02T03:04:05.678Z","Inner":{"Text":"xxxx"}}`,
		`{"Inners":[{},{"Text":null}],"Words":["","abcd"],"Map":{"a":"b"},"Maps":{"a":[1]}}`,
		`{"x":[[{"y":null}]],"Text":null}`, `null`, `[]`, `{"Text":`, `{"Number":1e400}`, `{}{}`,
		`{"When":1e300}`, `{"When":-1e18}`, `{"Words":[null]}`, `{"Map":{"a":null}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		roundTrip(t, &call{protocol: aws.AWSJSON11, body: body})
	})
}

func FuzzDecodeForm(f *testing.F) {
	for _, seed := range []string{
		"T=a&Number=1&Long=2&Real=-Infinity&Flag=TRUE&Blob=YQ%3D%3D&When=2026-01-02T03:04:05Z",
		"Inner.Text=a&Inners.member.1.Text=b&Words.member.2=x&Words.member.9=y&Flat.1=z",
		"Map.entry.1.key=a&Map.entry.1.value=b&Maps.1.key=c&Maps.1.value.member.1=4",
		"Words=&Map=&Inner=&Words.member.x=1&Words.member.-1=2", "Map.entry.1.key=a",
		"a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a=1", ".=&..=1",
	} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, body string, flat bool) {
		form, err := url.ParseQuery(body)
		if err != nil {
			return
		}
		p := aws.AWSQuery
		if flat {
			p = aws.EC2Query
		}
		roundTrip(t, &call{protocol: p, form: form})
	})
}

func FuzzDecodeCBOR(f *testing.F) {
	for _, seed := range []string{
		"\xbf\x64Text\x61a\x66Number\xf9\x3c\x00\xff", // indefinite map, an integer as a float
		"\xa2\x64Real\xfb\x7f\xf8\x00\x00\x00\x00\x00\x00\x64Flag\xf5",
		"\xa1\x64When\xc1\xfb\x41\xcc\x37\xdb\x38\x0f\xbe\x77", "\xa1\x64When\xc1\xf9\x7e\x00",
		"\xa1\x64When\xc1\x1b\xff\xff\xff\xff\xff\xff\xff\xff", "\xa1\x64When\xc0\x61x",
		"\xa1\x65Words\x9f\x7f\x61a\x61b\xff\xff", "\xa1\x63Map\xa1\x61a\xf6", "\xa1\x01\x02",
		"\xa1\x64Blob\x5f\x41a\xff", "\xa1\x65Inner\xa1\x64Text\xf6", "\xf6", "\x80", "\xff", "",
		"\xa1\x64Long\xc2\x49\x01\x00\x00\x00\x00\x00\x00\x00\x00", "\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		roundTrip(t, &call{protocol: aws.RPCv2CBOR, body: body})
	})
}
