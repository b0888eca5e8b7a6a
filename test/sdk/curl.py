"""Stands in for curl where there is none: the few options used here, and the bytes curl sends."""

import http.client
import secrets
import sys
from pathlib import Path
from urllib.parse import urlsplit


def encode_form(fields):
    """A multipart body as `curl -F name=value -F name=@path` makes it, and its content type."""
    boundary = "-" * 24 + secrets.token_hex(11)
    parts = []
    for field in fields:
        name, value = field.split("=", 1)
        head = f'Content-Disposition: form-data; name="{name}"'
        data = value.encode()
        if value.startswith("@"):
            path = Path(value[1:])
            head += f'; filename="{path.name}"\r\nContent-Type: application/octet-stream'
            data = path.read_bytes()
        parts.append(f"--{boundary}\r\n{head}\r\n\r\n".encode() + data + b"\r\n")
    parts.append(f"--{boundary}--\r\n".encode())
    return b"".join(parts), f"multipart/form-data; boundary={boundary}"


def main(words):
    method, url, data, headers, form = None, None, None, [], []
    words = iter(words)
    for word in words:
        if word in ("-s", "-S", "-i"):
            continue
        if word == "-X":
            method = next(words)
        elif word == "-H":
            headers.append(next(words).split(": ", 1))
        elif word == "-d":
            data = next(words).encode()
        elif word == "-F":
            form.append(next(words))
        else:
            url = urlsplit(word)
    content_type = "application/x-www-form-urlencoded"
    if form:
        data, content_type = encode_form(form)

    connection = http.client.HTTPConnection(url.netloc, timeout=60)
    target = url.path + (f"?{url.query}" if url.query else "")
    default = "GET" if data is None else "POST"
    connection.putrequest(method or default, target, skip_host=True, skip_accept_encoding=True)
    given = {name.lower() for name, _ in headers}
    connection.putheader("Host", url.netloc)
    connection.putheader("User-Agent", "curl/8.5.0")
    connection.putheader("Accept", "*/*")
    for name, value in headers:
        connection.putheader(name, value)
    if data is not None:
        connection.putheader("Content-Length", str(len(data)))
        if "content-type" not in given:
            connection.putheader("Content-Type", content_type)
    connection.endheaders(data)

    answer = connection.getresponse()
    body = answer.read()
    lines = [f"HTTP/1.1 {answer.status} {answer.reason}"]
    lines += [f"{name}: {value}" for name, value in answer.getheaders()]
    sys.stdout.buffer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)


main(sys.argv[1:])
