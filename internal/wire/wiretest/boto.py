"""Calls every operation of an Echo with a full sample and compares the answer with the sample.

Usage: boto.py PROTOCOL SERVICE VERSION URL SKIP,... OPERATION...

The members called SKIP are left out of every sample.
"""
import datetime
import sys
import urllib.error
import urllib.parse
import urllib.request

import botocore.parsers
import botocore.serialize
import botocore.session

SKIP = sys.argv[5].split(",")
SAMPLE_TIME = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)


def sample(shape, name="", within=()):
    kind = shape.type_name
    if kind == "structure":
        inside = within + (shape.name,)
        return {
            member: sample(s, s.serialization.get("name", member), inside)
            for member, s in shape.members.items()
            if not recursive(s, inside) and member not in SKIP
        }
    if kind == "list":
        return [sample(shape.member, name, within)]
    if kind == "map":
        return {sample(shape.key, "key", within): sample(shape.value, name, within)}
    if kind == "string" and shape.enum:
        return shape.enum[0]
    return {
        "string": name,
        "character": name,
        "blob": name.encode(),
        "boolean": True,
        "float": 1.5,
        "double": 1.5,
        "integer": len(name),
        "long": len(name),
        "timestamp": SAMPLE_TIME,
    }[kind]


def recursive(shape, within):
    while shape.type_name in ("list", "map"):
        shape = shape.member if shape.type_name == "list" else shape.value
    return shape.name in within


def call(protocol, url, model, operation):
    params = sample(operation.input_shape) if operation.input_shape else {}
    serializer = botocore.serialize.create_serializer(protocol, include_validation=False)
    request = serializer.serialize_to_request(params, operation)
    body, headers = request["body"], dict(request["headers"])
    if isinstance(body, dict):
        body = urllib.parse.urlencode(body)
    if isinstance(body, str):
        body = body.encode()
    headers["X-Amz-Date"] = "20260102T030405Z"
    headers["Authorization"] = (
        "AWS4-HMAC-SHA256 Credential=AKID/20260102/eu-west-1/%s/aws4_request, "
        "SignedHeaders=host, Signature=00" % model.signing_name
    )
    http = urllib.request.Request(url + request["url_path"], data=body, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(http) as answer:
            raw = {"status_code": answer.status, "headers": answer.headers, "body": answer.read()}
    except urllib.error.HTTPError as error:
        return "HTTP %d: %s" % (error.code, error.read().decode(errors="replace"))
    parser = botocore.parsers.create_parser(protocol)
    # A sample sets every member of a union, too.
    parser._has_unknown_tagged_union_member = lambda *_: False
    parsed = parser.parse(raw, operation.output_shape)
    meta = parsed.pop("ResponseMetadata", {})
    # botocore reads no metadata from an answer of rpcv2Cbor without output.
    silent = protocol == "smithy-rpc-v2-cbor" and not operation.output_shape
    if not silent and not meta.get("RequestId"):
        return "no request id in the answer"
    want = sample(operation.output_shape) if operation.output_shape else {}
    if parsed != want:
        return "got  %r\nwant %r\nfrom %s" % (parsed, want, raw["body"])
    return None


def main(protocol, service, version, url, operations):
    session = botocore.session.get_session()
    model = session.get_service_model(service, version)
    known = set(model.operation_names)
    failed = 0
    for name in operations:
        if name not in known:
            print("%s: not in this botocore" % name)
            failed += 1
            continue
        problem = call(protocol, url, model, model.operation_model(name))
        if problem:
            failed += 1
            print("%s: %s" % (name, problem))
    print("%d operations" % len(operations))
    sys.exit(1 if failed else 0)


main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[6:])
