"""Answers every HTTP request with 100 bytes, from one thread, where nginx is not installed: `python3 answers.py PORT`."""

import select
import socket
import sys

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 100
END = b"\r\n\r\n"


def serve(port):
    listener = socket.create_server(("127.0.0.1", port), backlog=4096)
    listener.setblocking(False)
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    peers, rest = {}, {}
    while True:
        for number, _ in poll.poll():
            if number == listener.fileno():
                peer = listener.accept()[0]
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                peers[peer.fileno()], rest[peer.fileno()] = peer, b""
                poll.register(peer, select.EPOLLIN)
                continue
            peer = peers[number]
            try:
                data = peer.recv(65536)
                text = rest[number] + data
                count = text.count(END)
                rest[number] = text[text.rfind(END) + 4 :] if count else text
                if count:
                    peer.sendall(ANSWER * count)
            except OSError:
                data = b""
            if not data:
                poll.unregister(peer)
                peers.pop(number).close()
                rest.pop(number)


serve(int(sys.argv[1]))
