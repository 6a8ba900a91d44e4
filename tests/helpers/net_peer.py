#!/usr/bin/env python3
"""A service for tests of the lab's network.

    net_peer.py server PORT     echoes TCP and UDP, IPv4 and IPv6; TCP "sum\\n" takes all bytes and answers their digest
    net_peer.py agent PORT      does what a line of TCP says and answers in one line; commands are the do_* below
"""
import hashlib
import os
import select
import socket
import struct
import sys
import threading
import time


def serve_tcp(conn):
    with conn:
        first = conn.recv(4, socket.MSG_WAITALL)
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if first == b"sum\n":
            digest, n = hashlib.sha256(), 0
            while True:
                data = conn.recv(1 << 16)
                if not data:
                    break
                digest.update(data)
                n += len(data)
            conn.sendall(("%d %s\n" % (n, digest.hexdigest())).encode())
            return
        data = first
        while data:
            conn.sendall(data)
            data = conn.recv(1 << 16)


def accept_all(listener, serve):
    while True:
        conn, _ = listener.accept()
        threading.Thread(target=serve, args=(conn,), daemon=True).start()


def echo_udp(s):
    while True:
        data, peer = s.recvfrom(65536)
        s.sendto(data, peer)


def listen(port, serve):
    for family, any_address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        try:
            tcp, udp = socket.socket(family), socket.socket(family, socket.SOCK_DGRAM)
        except OSError:
            continue
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            for s in (tcp, udp):
                s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        udp.bind((any_address, port))
        tcp.bind((any_address, port))
        tcp.listen(64)
        threading.Thread(target=accept_all, args=(tcp, serve), daemon=True).start()
        threading.Thread(target=echo_udp, args=(udp,), daemon=True).start()


FAMILY = {"4": socket.AF_INET, "6": socket.AF_INET6}
kept = []
running = []


def address(name, port, family, kind):
    return socket.getaddrinfo(name, port, FAMILY[family], kind)[0][4]


def do_udp(name, port, family, count, wait_ms):
    """Round trips: how many came back, the median in ms, how many twice, how many out of order."""
    s = socket.socket(FAMILY[family], socket.SOCK_DGRAM)
    s.connect(address(name, int(port), family, socket.SOCK_DGRAM))
    times, seen, twice, order, last = [], set(), 0, 0, -1
    poll = select.poll()
    poll.register(s, select.POLLIN)

    def take(wait):
        nonlocal twice, order, last
        while poll.poll(wait):
            try:
                number, sent = struct.unpack("!Id", s.recv(100))
            except (ConnectionRefusedError, struct.error):
                continue
            twice += number in seen
            order += number < last
            last = max(last, number)
            seen.add(number)
            times.append(time.monotonic() - sent)
            wait = 0

    for i in range(int(count)):
        s.send(struct.pack("!Id", i, time.monotonic()))
        take(0)
        if i % 10 == 9:  # neither end's socket buffer is to overflow
            time.sleep(0.0005)
    deadline = time.monotonic() + int(wait_ms) / 1000
    while len(seen) < int(count) and time.monotonic() < deadline:
        take(max(1, int((deadline - time.monotonic()) * 1000)))
    times.sort()
    return "%d %.3f %d %d" % (len(seen), times[len(times) // 2] * 1000 if times else -1, twice, order)


def do_begin(*args):
    """Another command, in the background; do_result waits for its answer."""
    box = []
    thread = threading.Thread(target=lambda: box.append(globals()["do_" + args[0]](*args[1:])), daemon=True)
    thread.start()
    running.append((thread, box))
    return "begun"


def do_result():
    thread, box = running.pop()
    thread.join()
    return box[0] if box else "error"


def do_one(name, port, family, wait_ms):
    """One datagram and its way back, in ms; -1 = none."""
    back, took = do_udp(name, port, family, "1", wait_ms).split()[:2]
    return took if back == "1" else "-1"


def do_ping(name, family, wait_ms):
    six = family == "6"
    s = socket.socket(FAMILY[family], socket.SOCK_DGRAM, socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP)
    s.settimeout(int(wait_ms) / 1000)
    begin = time.monotonic()
    s.sendto(struct.pack("!BBHHH", 128 if six else 8, 0, 0, 0, 1) + b"squall", address(name, 1, family, 0))
    try:
        s.recv(1000)
    except TimeoutError:
        return "-1"
    return "%.3f" % ((time.monotonic() - begin) * 1000)


def do_sum(name, port, family, size):
    """size bytes by TCP: "right" when the other end got exactly those, and how long it took."""
    data = os.urandom(1 << 20)
    left, digest = int(size), hashlib.sha256()
    begin = time.monotonic()
    s = socket.create_connection(address(name, int(port), family, socket.SOCK_STREAM)[:2], 60)
    s.sendall(b"sum\n")
    while left:
        part = data[:left]
        s.sendall(part)
        digest.update(part)
        left -= len(part)
    s.shutdown(socket.SHUT_WR)
    right = s.makefile().readline() == "%s %s\n" % (size, digest.hexdigest())
    return "%s %.3f" % ("right" if right else "wrong", time.monotonic() - begin)


def do_connect(name, port, family, wait_ms):
    try:
        s = socket.create_connection(address(name, int(port), family, socket.SOCK_STREAM)[:2], int(wait_ms) / 1000)
    except OSError as e:
        return type(e).__name__
    kept.append(s)
    return "connected %d" % (len(kept) - 1)


def do_use(number, wait_ms):
    """One round trip on a connection that do_connect made."""
    s = kept[int(number)]
    s.settimeout(int(wait_ms) / 1000)
    try:
        s.sendall(b"hello")
        got = b""
        while len(got) < 5:
            data = s.recv(5 - len(got))
            if not data:
                return "end"
            got += data
        return got.decode()
    except OSError as e:
        return type(e).__name__


def do_resolve(name):
    begin = time.monotonic()
    try:
        found = sorted({a[4][0] for a in socket.getaddrinfo(name, None)})
    except socket.gaierror as e:
        found = [str(e.errno)]
    return "%.3f %s" % (time.monotonic() - begin, " ".join(found))


def agent(conn):
    with conn, conn.makefile("rw") as f:
        for line in f:
            word, *args = line.split()
            try:
                answer = globals()["do_" + word](*args)
            except Exception as e:  # what went wrong is the answer
                answer = "error %r" % e
            f.write(answer + "\n")
            f.flush()


listen(int(sys.argv[2]), agent if sys.argv[1] == "agent" else serve_tcp)
print("listening", flush=True)
threading.Event().wait()
