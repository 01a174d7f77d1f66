package wire

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"

	"fairlead/internal/aws"
)

// codec reads inputs and writes answers in one protocol.
type codec interface {
	contentType(c *call) string
	decode(c *call, sh *shape, v reflect.Value) *aws.Fault
	encode(c *call, sh *shape, v reflect.Value) []byte
	encodeFault(c *call, f *aws.Fault) []byte
}

func codecFor(p aws.Protocol) codec {
	switch p {
	case aws.AWSJSON11:
		return jsonCodec{}
	case aws.EC2Query:
		return ec2Codec{}
	case aws.RPCv2CBOR:
		return cborCodec{}
	}
	return queryCodec{}
}

// jsonCodec is awsJson1_1 and, for who asks in it, awsJson1_0, which differs by this name alone.
type jsonCodec struct{}

func (jsonCodec) contentType(c *call) string {
	const older = "application/x-amz-json-1.0"
	if c.req.Header.Get("Content-Type") == older {
		return older
	}
	return "application/x-amz-json-1.1"
}

func (jsonCodec) decode(c *call, sh *shape, v reflect.Value) *aws.Fault {
	if err := decodeJSON(c.body, sh, v); err != nil {
		return c.fault(malformed, "%s", err)
	}
	return nil
}

func (jsonCodec) encode(_ *call, sh *shape, v reflect.Value) []byte {
	return appendJSON(nil, sh, plain, v)
}

func (jsonCodec) encodeFault(c *call, f *aws.Fault) []byte {
	b, err := json.Marshal(faultFields(c, f))
	if err != nil {
		return jsonCodec{}.encodeFault(c, aws.NewFault(f.Code, "%s", f.Message))
	}
	return b
}

// faultFields are the members of an error where the protocol calls errors by their shapes.
func faultFields(c *call, f *aws.Fault) map[string]any {
	all := map[string]any{}
	maps.Copy(all, f.Fields)
	all["__type"], all["message"] = c.errorShape(f.Code), f.Message
	return all
}

// cborCodec is rpcv2Cbor.
type cborCodec struct{}

func (cborCodec) contentType(*call) string { return "application/cbor" }

func (cborCodec) decode(c *call, sh *shape, v reflect.Value) *aws.Fault {
	if err := decodeCBOR(c.body, sh, v); err != nil {
		return c.fault(malformed, "%s", err)
	}
	return nil
}

// encode writes nothing for an operation that has no output, as rpcv2Cbor wants it.
func (cborCodec) encode(c *call, sh *shape, v reflect.Value) []byte {
	if len(sh.members) == 0 && c.op.wrapper == "" {
		return nil
	}
	return encodeCBOR(cborTree(sh, v))
}

func (cborCodec) encodeFault(c *call, f *aws.Fault) []byte {
	return encodeCBOR(faultFields(c, f))
}

// queryCodec is awsQuery.
type queryCodec struct{}

func (queryCodec) contentType(*call) string { return "text/xml" }

func (queryCodec) decode(c *call, sh *shape, v reflect.Value) *aws.Fault {
	return decodeForm(c, formDecoder{}, "MalformedInput", sh, v)
}

func decodeForm(c *call, d formDecoder, code string, sh *shape, v reflect.Value) *aws.Fault {
	root, err := newForm(c.form)
	if err == nil {
		err = d.structure(root, sh, "", v)
	}
	if _, ok := errors.AsType[*formError](err); ok {
		return aws.NewFault(code, "%s", err)
	}
	if err != nil {
		return c.fault(malformed, "%s", err)
	}
	return nil
}

func (queryCodec) encode(c *call, sh *shape, v reflect.Value) []byte {
	w := &xmlWriter{}
	w.root(c.op.name+"Response", c.api.XMLNamespace)
	if c.op.wrapper != "" {
		w.open(c.op.wrapper)
		w.result(sh, v)
		w.close(c.op.wrapper)
	}
	w.open("ResponseMetadata")
	w.text("RequestId", c.caller.RequestID)
	w.close("ResponseMetadata")
	w.close(c.op.name + "Response")
	return w.Bytes()
}

func (queryCodec) encodeFault(c *call, f *aws.Fault) []byte {
	w := &xmlWriter{}
	namespace := ""
	if c.api != nil {
		namespace = c.api.XMLNamespace
	}
	w.root("ErrorResponse", namespace)
	w.open("Error")
	w.text("Type", senderOrReceiver(f))
	w.fault(f)
	w.close("Error")
	w.text("RequestId", c.caller.RequestID)
	w.close("ErrorResponse")
	return w.Bytes()
}

func senderOrReceiver(f *aws.Fault) string {
	if f.Status >= http.StatusInternalServerError {
		return "Receiver"
	}
	return "Sender"
}

// fault writes what the error elements of both query protocols have in common.
func (w *xmlWriter) fault(f *aws.Fault) {
	w.text("Code", f.Code)
	w.text("Message", f.Message)
	w.fields(f.Fields)
}

func (w *xmlWriter) fields(all map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		switch value := all[name].(type) {
		case map[string]any:
			w.open(name)
			w.fields(value)
			w.close(name)
		case []string:
			w.open(name)
			for _, item := range value {
				w.text("member", item)
			}
			w.close(name)
		default:
			w.text(name, fmt.Sprint(value))
		}
	}
}

// ec2Codec is ec2Query.
type ec2Codec struct{}

func (ec2Codec) contentType(*call) string { return "text/xml;charset=UTF-8" }

func (ec2Codec) decode(c *call, sh *shape, v reflect.Value) *aws.Fault {
	return decodeForm(c, formDecoder{flat: true}, "InvalidParameterValue", sh, v)
}

func (ec2Codec) encode(c *call, sh *shape, v reflect.Value) []byte {
	w := &xmlWriter{}
	w.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	w.root(c.op.name+"Response", c.api.XMLNamespace)
	w.text("requestId", c.caller.RequestID)
	w.result(sh, v)
	if len(sh.members) == 0 {
		w.text("return", "true") // what EC2 says when there is nothing to say
	}
	w.close(c.op.name + "Response")
	return w.Bytes()
}

func (ec2Codec) encodeFault(c *call, f *aws.Fault) []byte {
	w := &xmlWriter{}
	w.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	w.open("Response")
	w.open("Errors")
	w.open("Error")
	w.fault(f)
	w.close("Error")
	w.close("Errors")
	w.text("RequestID", cmp.Or(c.caller.RequestID, "unknown"))
	w.close("Response")
	return w.Bytes()
}
