using Tributary.Load;
using Tributary.Load.Apply;
using Tributary.Load.Burst;
using Tributary.Load.Create;
using Tributary.Load.Decode;
using Tributary.Load.HugeTx;
using Tributary.Load.Kill;
using Tributary.Load.Latency;
using Tributary.Load.Many;
using Tributary.Load.Now;
using Tributary.Load.Scale;
using Tributary.Load.Schema;
using Tributary.Load.Storage;
using Tributary.Load.Wake;
using Tributary.Load.Writes;
using Tributary.Postgres.Programs;

IBenchmark[] benchmarks =
[
    new CreateBenchmark(), new NowBenchmark(), new BurstBenchmark(), new WakeBenchmark(), new WritesBenchmark(), new StorageBenchmark(), new ManyBenchmark(), new ScaleBenchmark(),
    new LatencyBenchmark(), new DecodeBenchmark(), new ApplyBenchmark(), new KillBenchmark(), new HugeTxBenchmark(), new SchemaBenchmark(),
];

using var interrupted = new CancellationTokenSource();
Console.CancelKeyPress += (_, signal) =>
{
    // The benchmark's own clean-up ends the process; the second Ctrl-C does so at once.
    signal.Cancel = !interrupted.IsCancellationRequested;
    interrupted.Cancel();
};

if (args is ["list"])
{
    foreach (var known in benchmarks)
        Console.WriteLine($"{known.Name,-10} {known.Work} ({known.Goal.Of} {known.Goal})");
    return 0;
}

if (args is not [var name, .. var words] || benchmarks.SingleOrDefault(known => known.Name == name) is not { } benchmark)
{
    Console.Error.WriteLine($"usage: ./bench list | ./bench NAME [OPTIONS], where NAME is one of: {string.Join(", ", benchmarks.Select(known => known.Name))}");
    return 2;
}

if (benchmark.Configure(words) is { } usage)
{
    Console.Error.WriteLine($"usage: ./bench {name} {usage}");
    return 2;
}

try
{
    var outcome = await benchmark.RunAsync(interrupted.Token);
    Console.WriteLine(ReportTable.Render(benchmark, outcome));
    var met = benchmark.Goal.IsMetBy(outcome.Ratio);
    Console.WriteLine($"{benchmark.Name} ratio={outcome.Ratio:0.00} goal={benchmark.Goal} {(met ? "met" : "short")}");
    return met ? 0 : 1;
}
catch (OperationCanceledException) when (interrupted.IsCancellationRequested)
{
    return 130;
}
catch (ChildProcessException exception)
{
    Console.Error.WriteLine($"{benchmark.Name} could not run: {exception.Message}");
    return 1;
}
