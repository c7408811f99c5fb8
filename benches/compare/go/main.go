// The work on Go. Built and run by `compare` where `go` is on the PATH: peer-go WORKLOAD PROCESSORS.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sort"
	"strconv"
	"sync"
	"time"
)

const (
	spawns, leaves     = 1000000, 1000000
	yielders, yields   = 100, 20000
	roundTrips         = 300000
	messages, capacity = 4000000, 128
	ringSize, hops     = 503, 2000000
	primes, lastPrime  = 1000, 7919
	selected           = 1000000
	locks, lockers     = 4000000, 64
	fibOf, fibSpawns   = 832040, 6764
	fibRuns, fibSerial = 20, 12
	sleepers, few      = 1000000, 10000
)

func check(ok bool) {
	if !ok {
		panic("a wrong answer")
	}
}

func all(tasks int, f func(int)) {
	var wg sync.WaitGroup
	wg.Add(tasks)
	for i := 0; i < tasks; i++ {
		go func() { f(i); wg.Done() }()
	}
	wg.Wait()
}

func skynet(sums chan<- uint64, first, size uint64) {
	if size == 1 {
		sums <- first
		return
	}
	parts := make(chan uint64, 10)
	for part := uint64(0); part < 10; part++ {
		go skynet(parts, first+part*size/10, size/10)
	}
	var sum uint64
	for i := 0; i < 10; i++ {
		sum += <-parts
	}
	sums <- sum
}

func pingpong() {
	ping, pong := make(chan int), make(chan int)
	go func() {
		for n := range ping {
			pong <- n
		}
	}()
	for n := 0; n < roundTrips; n++ {
		ping <- n
		check(<-pong == n)
	}
	close(ping)
}

func bounded(pairs int) {
	c := make(chan int, capacity)
	var senders, receivers sync.WaitGroup
	senders.Add(pairs)
	receivers.Add(pairs)
	counts := make([]int, pairs)
	for p := 0; p < pairs; p++ {
		go func() {
			for n := 0; n < messages/pairs; n++ {
				c <- n
			}
			senders.Done()
		}()
		go func() {
			count := 0
			for range c {
				count++
			}
			counts[p] = count
			receivers.Done()
		}()
	}
	senders.Wait()
	close(c)
	receivers.Wait()
	sum := 0
	for _, count := range counts {
		sum += count
	}
	check(sum == messages)
}

func ring() {
	first := make(chan int)
	last := first
	for i := 1; i < ringSize; i++ {
		ahead, next := last, make(chan int)
		go func() {
			for n := range ahead {
				next <- n + 1
			}
		}()
		last = next
	}
	token := 0
	for token < hops {
		n := token + 1
		go func() { first <- n }()
		token = <-last
	}
}

func sieveTransfers() int {
	found, transfers := []int{}, 0
	for n := 2; n <= lastPrime; n++ {
		transfers++
		at := 0
		for at < len(found) && n%found[at] != 0 {
			at++
		}
		transfers += at
		if at == len(found) {
			found = append(found, n)
		}
	}
	return transfers
}

func sieve() {
	from := make(chan int)
	stop := make(chan struct{})
	go func(to chan int) {
		for n := 2; ; n++ {
			select {
			case to <- n:
			case <-stop:
				return
			}
		}
	}(from)
	for i := 0; i < primes; i++ {
		prime := <-from
		if i+1 == primes {
			check(prime == lastPrime)
		}
		all, passed := from, make(chan int)
		go func() {
			for n := range all {
				if n%prime != 0 {
					passed <- n
				}
			}
		}()
		from = passed
	}
	close(stop)
}

func select4() {
	var c [4]chan int
	for i := range c {
		c[i] = make(chan int, capacity)
		go func() {
			for n := 0; n < selected/4; n++ {
				c[i] <- n
			}
		}()
	}
	sum := 0
	for i := 0; i < selected; i++ {
		select {
		case n := <-c[0]:
			sum += n
		case n := <-c[1]:
			sum += n
		case n := <-c[2]:
			sum += n
		case n := <-c[3]:
			sum += n
		}
	}
	each := selected / 4
	check(sum == 4*(each*(each-1)/2))
}

func mutex(tasks int) {
	var m sync.Mutex
	count := 0
	all(tasks, func(int) {
		for i := 0; i < locks/tasks; i++ {
			m.Lock()
			count++
			m.Unlock()
		}
	})
	check(count == locks)
}

func fib(n uint64) uint64 {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}

func forkedFib(n uint64) uint64 {
	if n <= fibSerial {
		return fib(n)
	}
	left := make(chan uint64, 1)
	go func() { left <- forkedFib(n - 1) }()
	right := forkedFib(n - 2)
	return <-left + right
}

func nap(i int) time.Duration {
	mixed := uint64(i) * 0x9E3779B97F4A7C15 >> 32
	return time.Duration(mixed%1000000) * time.Microsecond
}

func lateness() float64 {
	late := make([]int64, few)
	var wg sync.WaitGroup
	wg.Add(few)
	for i := range late {
		due := time.Now().Add(nap(i))
		go func() {
			time.Sleep(time.Until(due))
			late[i] = int64(time.Since(due))
			wg.Done()
		}()
	}
	wg.Wait()
	sort.Slice(late, func(a, b int) bool { return late[a] < late[b] })
	return float64(late[few*99/100]) / 1e3
}

const connections, requests, length = 64, 2000, 64

func echo(workload string) float64 {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err == nil)
	latencies := make([][]time.Duration, connections)
	start := time.Now()
	go func() {
		for i := 0; i < connections; i++ {
			stream, err := listener.Accept()
			check(err == nil)
			go serve(stream)
		}
	}()
	all(connections, func(i int) { latencies[i] = client(listener.Addr().String()) })
	took := time.Since(start)
	var every []time.Duration
	for _, one := range latencies {
		every = append(every, one...)
	}
	sort.Slice(every, func(i, j int) bool { return every[i] < every[j] })
	switch workload {
	case "echo":
		return float64(took.Nanoseconds()) / float64(len(every))
	case "echo-p50":
		return float64(every[len(every)*50/100].Nanoseconds()) / 1e3
	}
	return float64(every[len(every)*99/100].Nanoseconds()) / 1e3
}

// Go sets TCP_NODELAY by itself.
func client(address string) []time.Duration {
	stream, err := net.Dial("tcp", address)
	check(err == nil)
	latencies := make([]time.Duration, 0, requests)
	request, answer := make([]byte, length), make([]byte, length)
	for n := 0; n < requests; n++ {
		start := time.Now()
		request[0] = byte(n)
		_, err := stream.Write(request)
		check(err == nil)
		_, err = io.ReadFull(stream, answer)
		check(err == nil && answer[0] == request[0])
		latencies = append(latencies, time.Since(start))
	}
	stream.Close()
	return latencies
}

func serve(stream net.Conn) {
	buffer := make([]byte, 4096)
	for {
		length, err := stream.Read(buffer)
		if err != nil {
			stream.Close()
			return
		}
		_, err = stream.Write(buffer[:length])
		check(err == nil)
	}
}

func main() {
	processors, err := strconv.Atoi(os.Args[2])
	check(err == nil)
	runtime.GOMAXPROCS(processors)
	if len(os.Args) > 3 && os.Args[1] == "http" {
		serveHTTP(os.Args[3])
	}
	start := time.Now()
	count := 0
	switch os.Args[1] {
	case "spawn":
		all(spawns, func(int) {})
		count = spawns
	case "skynet":
		sums := make(chan uint64)
		go skynet(sums, 0, leaves)
		check(<-sums == leaves*(leaves-1)/2)
		count = leaves
	case "yield":
		all(yielders, func(int) {
			for i := 0; i < yields; i++ {
				runtime.Gosched()
			}
		})
		count = yielders * yields
	case "pingpong":
		pingpong()
		count = roundTrips
	case "bounded1x1":
		bounded(1)
		count = messages
	case "bounded4x4":
		bounded(4)
		count = messages
	case "ring":
		ring()
		count = hops
	case "sieve":
		sieve()
		took := time.Since(start)
		fmt.Printf("%.3f\n", float64(took.Nanoseconds())/float64(sieveTransfers()))
		return
	case "select4":
		select4()
		count = selected
	case "mutex1":
		mutex(1)
		count = locks
	case "mutex64":
		mutex(lockers)
		count = locks
	case "fib":
		for i := 0; i < fibRuns; i++ {
			check(forkedFib(30) == fibOf)
		}
		count = fibSpawns * fibRuns
	case "sleepers":
		all(sleepers, func(i int) { time.Sleep(nap(i)) })
		fmt.Printf("%.3f\n", float64(time.Since(start).Microseconds())/1e3-1000)
		return
	case "sleepers-cpu":
		all(sleepers, func(i int) { time.Sleep(nap(i)) })
		fmt.Printf("%.3f\n", processorSeconds())
		return
	case "lateness":
		fmt.Printf("%.3f\n", lateness())
		return
	case "echo", "echo-p50", "echo-p99":
		fmt.Printf("%.3f\n", echo(os.Args[1]))
		return
	default:
		figure, ok := mix(os.Args[1], processors)
		if !ok {
			fmt.Println("-")
		} else {
			fmt.Printf("%.3f\n", figure)
		}
		return
	}
	fmt.Printf("%.3f\n", float64(time.Since(start).Nanoseconds())/float64(count))
}
