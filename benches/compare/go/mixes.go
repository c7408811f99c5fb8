package main

import (
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	crowd            = 1000000
	blockers, blocks = 64, 50
	block            = 2 * time.Millisecond
	computers        = 8
	hogs, wakers     = 2, 100
	hogged           = time.Second
	wakeEach         = time.Millisecond
)

// mix runs what src/mixes does on the other peers.
func mix(workload string, processors int) (float64, bool) {
	switch workload {
	case "parked":
		ms, _ := parked()
		return ms, true
	case "parked-bytes":
		_, bytes := parked()
		return bytes, true
	case "blocking":
		ms, _ := blocking(processors)
		return ms, true
	case "blocking-lost":
		_, lost := blocking(processors)
		return lost, true
	case "hogs":
		return hog(), true
	}
	return 0, false
}

func resident() float64 {
	statm, err := os.ReadFile("/proc/self/statm")
	check(err == nil)
	pages, err := strconv.Atoi(strings.Fields(string(statm))[1])
	check(err == nil)
	return float64(pages) * 4096
}

func parked() (float64, float64) {
	start, before := time.Now(), resident()
	event := make(chan struct{})
	var waiting atomic.Int64
	var wg sync.WaitGroup
	wg.Add(crowd)
	for i := 0; i < crowd; i++ {
		go func() {
			waiting.Add(1)
			<-event
			wg.Done()
		}()
	}
	for waiting.Load() < crowd {
		time.Sleep(time.Millisecond)
	}
	each := (resident() - before) / crowd
	close(event)
	wg.Wait()
	return float64(time.Since(start).Microseconds()) / 1e3, each
}

var sink atomic.Uint64

//go:noinline
func portion() {
	sum := uint64(1)
	for n := uint64(0); n < 20000; n++ {
		sum = sum*31 ^ n
	}
	sink.Store(sum)
}

func blocking(processors int) (float64, float64) {
	var enough atomic.Bool
	var portions atomic.Int64
	start := time.Now()
	var computing, blocked sync.WaitGroup
	computing.Add(computers)
	for i := 0; i < computers; i++ {
		go func() {
			for !enough.Load() {
				portion()
				portions.Add(1)
				runtime.Gosched()
			}
			computing.Done()
		}()
	}
	blocked.Add(blockers)
	for i := 0; i < blockers; i++ {
		go func() {
			for i := 0; i < blocks; i++ {
				// Not `time.Sleep`, which blocks no kernel thread.
				nap := syscall.NsecToTimespec(int64(block))
				syscall.Nanosleep(&nap, nil)
			}
			blocked.Done()
		}()
	}
	blocked.Wait()
	took := time.Since(start)
	enough.Store(true)
	computing.Wait()
	least := time.Hour
	for i := 0; i < 200; i++ {
		start := time.Now()
		portion()
		least = min(least, time.Since(start))
	}
	computed := least.Seconds() * float64(portions.Load())
	lost := 100 * (1 - computed/(float64(processors)*took.Seconds()))
	return float64(took.Microseconds()) / 1e3, max(lost, 0)
}

func hog() float64 {
	var stopped atomic.Bool
	late := make([][]int64, wakers)
	var woken sync.WaitGroup
	woken.Add(wakers)
	for i := 0; i < wakers; i++ {
		go func() {
			for !stopped.Load() {
				due := time.Now().Add(wakeEach)
				time.Sleep(wakeEach)
				late[i] = append(late[i], int64(time.Since(due)))
			}
			woken.Done()
		}()
	}
	runtime.Gosched()
	time.AfterFunc(hogged, func() { stopped.Store(true) })
	for i := 0; i < hogs; i++ {
		go func() {
			for !stopped.Load() {
			}
		}()
	}
	woken.Wait()
	var every []int64
	for _, one := range late {
		every = append(every, one...)
	}
	sort.Slice(every, func(a, b int) bool { return every[a] < every[b] })
	return float64(every[len(every)*99/100]) / 1e6
}

func processorSeconds() float64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage) == nil)
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}
