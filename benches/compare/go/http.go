package main

import (
	"fmt"
	"net"
	"net/http"
)

// serveHTTP answers at /json what examples/http does.
func serveHTTP(address string) {
	listener, err := net.Listen("tcp", address)
	check(err == nil)
	fmt.Println("listening on", listener.Addr())
	http.HandleFunc("/json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"message":"hello, world"}`))
	})
	panic(http.Serve(listener, nil))
}
