// A native uWebSockets server for the plain convention: /cN subscribes to channel N, a frame "cN:text" is
// published to it, /echo echoes. Loses nothing in bursts: 16 MiB may wait for a client. Not built from here:
//
//   for f in uSockets/src/*.c uSockets/src/eventing/epoll_kqueue.c; do gcc -O3 -DLIBUS_NO_SSL -IuSockets/src -c $f; done
//   g++ -O3 -std=c++20 -DLIBUS_NO_SSL -DUWS_NO_ZLIB -IuSockets/src -IuWebSockets/src uws_server.cpp *.o -o uws_server
//
// in a directory that holds both repositories; then BENCH_UWS=…/uws_server infra/bench/run.py --servers ours,uws …
#include "App.h"
#include <cstdlib>
#include <string>

struct Client {
  std::string path;
};

int main(int count, char **words) {
  if (count != 2) return 64;
  uWS::App app;
  uWS::App::WebSocketBehavior<Client> sockets;
  sockets.compression = uWS::DISABLED;
  sockets.maxPayloadLength = 1 << 20;
  sockets.idleTimeout = 960;
  sockets.maxBackpressure = 16 << 20;
  sockets.upgrade = [](auto *response, auto *request, auto *context) {
    response->template upgrade<Client>(
        {std::string(request->getUrl().substr(1))}, request->getHeader("sec-websocket-key"),
        request->getHeader("sec-websocket-protocol"), request->getHeader("sec-websocket-extensions"), context);
  };
  sockets.open = [](auto *socket) {
    const std::string &path = socket->getUserData()->path;
    if (!path.empty() && path[0] == 'c') socket->subscribe(path);
  };
  sockets.message = [&app](auto *socket, std::string_view message, uWS::OpCode opcode) {
    if (socket->getUserData()->path == "echo") {
      socket->send(message, opcode);
      return;
    }
    size_t colon = message.find(':');
    if (colon != std::string_view::npos) app.publish(message.substr(0, colon), message, opcode);
  };
  app.ws<Client>("/*", std::move(sockets))
      .listen("127.0.0.1", std::atoi(words[1]), [](auto *listening) {
        if (!listening) std::exit(73);
      })
      .run();
}
