// A small HTTP/1.1 server: a page at /, its own state as JSON at /status. One thread, epoll, keep-alive.
//   ./eremite run -p 8080:80 examples/http       then: curl http://localhost:8080/status
#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <format>
#include <iostream>
#include <netinet/in.h>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <unordered_map>

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t max_request = 16 * 1024;

constexpr std::string_view page = R"(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Eremite</title>
<h1>Hello from a machine of one program</h1>
<p>This page is served by a C++ program that is its own kernel. <a href="/status">Its state</a>.</p>
</html>
)";

struct Connection {
    std::string input;
    std::string output;
    bool close_after_output = false;
};

struct Server {
    Clock::time_point started = Clock::now();
    unsigned long requests = 0;
    unsigned long accepted = 0;
    int epoll = -1;
    int listener = -1;
    std::unordered_map<int, Connection> connections;
};

[[noreturn]] void fail(std::string_view what)
{
    std::cerr << "http: " << what << ": " << std::strerror(errno) << '\n';
    std::exit(1);
}

void append_response(
    Connection& connection, std::string_view status, std::string_view type, std::string_view body, bool head)
{
    connection.output += std::format("HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: {}\r\n\r\n",
        status, type, body.size(), connection.close_after_output ? "close" : "keep-alive");
    if (!head)
        connection.output += body;
}

bool contains_ignoring_case(std::string_view text, std::string_view what)
{
    auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return !std::ranges::search(text, what, {}, lower, lower).empty();
}

void answer(Server& server, Connection& connection, std::string_view request)
{
    ++server.requests;
    std::string_view line = request.substr(0, request.find("\r\n"));
    std::size_t first = line.find(' ');
    std::size_t second = line.find(' ', first == line.npos ? first : first + 1);
    if (first == line.npos || second == line.npos || !line.substr(second + 1).starts_with("HTTP/1.")) {
        connection.close_after_output = true;
        return append_response(connection, "400 Bad Request", "text/plain", "That is no HTTP request.\n", false);
    }
    std::string_view method = line.substr(0, first);
    std::string_view path = line.substr(first + 1, second - first - 1);
    bool old = line.ends_with("HTTP/1.0");
    if (contains_ignoring_case(request, "\r\nconnection: close")
        || (old && !contains_ignoring_case(request, "keep-alive")))
        connection.close_after_output = true;
    bool head = method == "HEAD";
    if (method != "GET" && !head)
        return append_response(connection, "405 Method Not Allowed", "text/plain", "Only GET and HEAD.\n", false);
    path = path.substr(0, path.find('?'));
    if (path == "/")
        return append_response(connection, "200 OK", "text/html; charset=utf-8", page, head);
    if (path == "/status") {
        auto uptime = std::chrono::duration<double>(Clock::now() - server.started).count();
        std::string body
            = std::format("{{\"uptime_seconds\": {:.3f}, \"requests\": {}, \"accepted\": {}, \"open\": {}}}\n", uptime,
                server.requests, server.accepted, server.connections.size());
        return append_response(connection, "200 OK", "application/json", body, head);
    }
    append_response(connection, "404 Not Found", "text/plain", "There is / and /status.\n", head);
}

// Answers all complete requests in the input. False: the connection is to be dropped.
bool process_input(Server& server, Connection& connection)
{
    while (!connection.close_after_output) {
        std::size_t end = connection.input.find("\r\n\r\n");
        if (end == std::string::npos)
            return connection.input.size() <= max_request;
        answer(server, connection, std::string_view(connection.input).substr(0, end + 2));
        connection.input.erase(0, end + 4);
    }
    return true;
}

void watch(const Server& server, int operation, int descriptor, unsigned events)
{
    epoll_event event {};
    event.events = events;
    event.data.fd = descriptor;
    if (epoll_ctl(server.epoll, operation, descriptor, &event) != 0)
        fail("epoll_ctl");
}

void drop(Server& server, int descriptor)
{
    close(descriptor);
    server.connections.erase(descriptor);
}

void accept_all(Server& server)
{
    while (true) {
        int descriptor = accept4(server.listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor < 0)
            return;
        ++server.accepted;
        server.connections.emplace(descriptor, Connection {});
        watch(server, EPOLL_CTL_ADD, descriptor, EPOLLIN);
    }
}

// Sends what there is; false: the connection is over.
bool flush(Server& server, int descriptor, Connection& connection)
{
    while (!connection.output.empty()) {
        ssize_t sent = send(descriptor, connection.output.data(), connection.output.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            watch(server, EPOLL_CTL_MOD, descriptor, EPOLLIN | EPOLLOUT);
            return true;
        }
        if (sent <= 0)
            return false;
        connection.output.erase(0, static_cast<std::size_t>(sent));
    }
    if (connection.close_after_output)
        return false;
    watch(server, EPOLL_CTL_MOD, descriptor, EPOLLIN);
    return true;
}

void serve(Server& server, int descriptor, unsigned events)
{
    Connection& connection = server.connections[descriptor];
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        std::array<char, 4096> buffer;
        ssize_t received = recv(descriptor, buffer.data(), buffer.size(), 0);
        if (received == 0 || (received < 0 && errno != EAGAIN))
            return drop(server, descriptor);
        if (received > 0)
            connection.input.append(buffer.data(), static_cast<std::size_t>(received));
        if (!process_input(server, connection))
            return drop(server, descriptor);
    }
    if (!connection.output.empty() && !flush(server, descriptor, connection))
        drop(server, descriptor);
}

} // namespace

int main(int argc, char** argv)
{
    int port = 80;
    if (argc > 1) {
        std::string_view text = argv[1];
        auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
        if (error != std::errc {} || end != text.data() + text.size() || port < 1 || port > 65535) {
            std::cerr << "http: '" << text << "' is no port: give a number from 1 to 65535\n";
            return 2;
        }
    }

    Server server;
    server.epoll = epoll_create1(EPOLL_CLOEXEC);
    server.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server.epoll < 0 || server.listener < 0)
        fail("socket");
    int on = 1;
    setsockopt(server.listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_ANY);
    if (bind(server.listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0
        || listen(server.listener, 128) != 0)
        fail(std::format("port {}", port));
    watch(server, EPOLL_CTL_ADD, server.listener, EPOLLIN);
    std::cout << std::format("http: serving on port {}", port) << std::endl;

    while (true) {
        std::array<epoll_event, 64> events;
        int count = epoll_wait(server.epoll, events.data(), static_cast<int>(events.size()), -1);
        if (count < 0 && errno != EINTR)
            fail("epoll_wait");
        for (int i = 0; i < count; ++i) {
            if (events[i].data.fd == server.listener)
                accept_all(server);
            else if (server.connections.contains(events[i].data.fd))
                serve(server, events[i].data.fd, events[i].events);
        }
    }
}
