using Tributary.Gateway.Tests.Support;
using Tributary.Testing;
namespace Tributary.Gateway.Tests;
public sealed class TmpBench
{
    [Fact]
    public async Task Bench()
    {
        Assert.SkipUnless(Environment.GetEnvironmentVariable("GWBENCH") is not null, "bench");
        var server = await TestServers.StartAsync([]);
        await using var ending = server;
        await using var gateway = await TestGateway.StartAsync(server: server);
        var env = new Dictionary<string, string?> { ["PGPASSWORD"] = TestGateway.Password, ["PGOPTIONS"] = null };
        var gwEnv = new Dictionary<string, string?> { ["PGPASSWORD"] = TestGateway.Password, ["PGOPTIONS"] = "-c branch=agent-42" };
        var pgbench = server.Installation.Program("pgbench");
        await TestProgram.RunAsync(pgbench, ["-i", "-q", "-s", "5", "-h", "127.0.0.1", "-p", $"{server.Port}", "-U", "postgres", "postgres"], env);
        for (var round = 0; round < 2; round++)
            foreach (var (name, host, port, e) in new[] { ("tcp", "127.0.0.1", server.Port, env), ("unix", server.SocketDirectory, server.Port, env), ("gateway", "127.0.0.1", gateway.Port, gwEnv) })
                foreach (var c in new[] { 1, 8 })
                {
                    var o = await TestProgram.RunAsync(pgbench, ["-S", "-n", "-M", "prepared", "-c", $"{c}", "-j", "1", "-T", "4", "-h", host, "-p", $"{port}", "-U", "postgres", "postgres"], e);
                    TestContext.Current.TestOutputHelper!.WriteLine($"{name} c={c}: " + string.Join(" | ", o.Out.Split('\n').Where(l => l.Contains("tps") || l.Contains("latency") || l.Contains("connection time"))) + o.Error);
                    await File.AppendAllTextAsync("/tmp/gwbench.txt", $"{name} c={c}: " + string.Join(" | ", o.Out.Split('\n').Where(l => l.Contains("tps") || l.Contains("latency") || l.Contains("connection time"))) + " " + o.Error + "\n");
                }
    }
}
