package elb

import (
	"strings"

	"fairlead/internal/aws"
	"fairlead/internal/row"
)

// Keys of listener attributes.
const (
	TLSVersionHeader = "routing.http.request.x_amzn_tls_version.header_name"
	TLSCipherHeader  = "routing.http.request.x_amzn_tls_cipher_suite.header_name"
	ServerHeader     = "routing.http.response.server.enabled"
)

// Limits of the values of listener attributes, in bytes.
const (
	maxHeaderValue = 1024
	maxHeaderName  = 40
)

// responseHeaders are the headers that an attribute can set in every response of a listener.
var responseHeaders = [...]string{
	"Access-Control-Allow-Credentials", "Access-Control-Allow-Headers",
	"Access-Control-Allow-Methods", "Access-Control-Allow-Origin", "Access-Control-Expose-Headers",
	"Access-Control-Max-Age", "Content-Security-Policy", "Strict-Transport-Security",
	"X-Content-Type-Options", "X-Frame-Options",
}

// headerKey returns the key of the attribute that sets a response header.
func headerKey(name string) string {
	field := strings.ReplaceAll(strings.ToLower(name), "-", "_")
	return "routing.http.response." + field + ".header_value"
}

// OfListener lists the attributes of an HTTP or HTTPS listener. See
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_ListenerAttribute.html
func OfListener(l row.Listener) Attributes {
	var all Attributes
	if l.Protocol == "HTTPS" {
		for _, field := range []string{
			"", "-Issuer", "-Leaf", "-Serial-Number", "-Subject", "-Validity",
		} {
			header := "X-Amzn-Mtls-Clientcert" + field
			field := strings.ReplaceAll(strings.ToLower(header), "-", "_")
			key := "routing.http.request." + field + ".header_name"
			all = append(all, Attribute{key, header, only(header)})
		}
		all = append(all,
			Attribute{TLSVersionHeader, "X-Amzn-Tls-Version", isHeaderName},
			Attribute{TLSCipherHeader, "X-Amzn-Tls-Cipher-Suite", isHeaderName})
	}
	for _, h := range responseHeaders {
		all = append(all, Attribute{headerKey(h), "", isHeaderValue})
	}
	return append(all, Attribute{ServerHeader, "true", isBoolean})
}

// Header is one header field.
type Header struct{ Name, Value string }

// ResponseHeaders returns the headers that a listener sets in every response.
func ResponseHeaders(values Values) []Header {
	var headers []Header
	for _, h := range responseHeaders {
		if v := values[headerKey(h)]; v != "" {
			headers = append(headers, Header{h, v})
		}
	}
	return headers
}

func isHeaderName(key, value string) *aws.Fault {
	if value != "" && len(value) <= maxHeaderName && !strings.ContainsFunc(value, notInHeaderName) {
		return nil
	}
	return invalid("'%s' value '%s' is not a valid header name", key, value) // our own text
}

func notInHeaderName(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' ||
		strings.ContainsRune("-_", r))
}

// isHeaderValue permits the characters that the guide lists for header modification.
func isHeaderValue(key, value string) *aws.Fault {
	if len(value) <= maxHeaderValue && !strings.ContainsFunc(value, notInHeaderValue) {
		return nil
	}
	return invalid("'%s' value '%s' is not a valid header value", key, value) // our own text
}

func notInHeaderValue(r rune) bool {
	return notInHeaderName(r) && !strings.ContainsRune(" :;.,\\/'\"?!(){}[]@<>=+*#&`|~^%$", r)
}
