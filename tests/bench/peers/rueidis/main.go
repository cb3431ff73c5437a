// SPDX-License-Identifier: MIT

// One side of the benchmarks with redis/rueidis: the arguments and the output of tests/bench/driver.h.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"sort"
	"strings"
	"syscall"
	"time"

	"github.com/redis/rueidis"
)

func cpu() (user, system float64) {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return float64(usage.Utime.Nano()) / 1e9, float64(usage.Stime.Nano()) / 1e9
}

func main() {
	seconds := flag.Float64("seconds", 1, "")
	warmup := flag.Float64("warmup", 0.3, "")
	url := flag.String("url", "", "")
	items := flag.Int("items", 1000, "")
	callers := flag.Int("callers", 64, "")
	flag.Parse()

	place := strings.TrimPrefix(*url, "redis://")
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{strings.SplitN(place, "/", 2)[0]}, DisableCache: true, ForceSingleClient: true,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	background := context.Background()
	begin := time.Now().Add(time.Duration(*warmup * float64(time.Second)))
	finish := begin.Add(time.Duration(*seconds * float64(time.Second)))
	results := make(chan []float64, *callers)
	for range make([]struct{}, *callers) {
		go func() {
			samples := make([]float64, 0, 1<<16)
			for at := time.Now(); at.Before(finish); {
				key := fmt.Sprintf("sp:bench:item:%d", 1+rand.IntN(*items))
				value, err := client.Do(background, client.B().Get().Key(key).Build()).ToString()
				if err != nil || value == "" {
					fmt.Fprintln(os.Stderr, key, err)
					os.Exit(1)
				}
				end := time.Now()
				if at.After(begin) {
					samples = append(samples, float64(end.Sub(at).Nanoseconds())/1e3)
				}
				at = end
			}
			results <- samples
		}()
	}
	time.Sleep(time.Until(begin))
	fmt.Println("start")
	user, system := cpu()
	time.Sleep(time.Until(finish))
	userEnd, systemEnd := cpu()
	fmt.Println("stop")
	var all []float64
	for range make([]struct{}, *callers) {
		all = append(all, <-results...)
	}
	sort.Float64s(all)
	fmt.Printf("{\"ops\": %d, \"seconds\": %f, \"p50_us\": %f, \"p99_us\": %f, \"user_cpu\": %f, \"sys_cpu\": %f}\n",
		len(all), *seconds, all[len(all)/2], all[len(all)*99/100], userEnd-user, systemEnd-system)
}
