using Tributary.Streaming.Hosting;
using Tributary.Testing;

namespace Tributary.Streaming.Tests;

public sealed class PreflightTests
{
    static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Rights_passwords_and_room_for_the_stream_are_checked()
    {
        await using var server = await TestServers.StartAsync(["wal_level = logical", "max_replication_slots = 1", "max_wal_senders = 1"]);
        await using var stream = await StreamHarness.CreateAsync(server, server, "CREATE TABLE item (id int PRIMARY KEY)");
        var rules = Path.Combine(server.DataDirectory, "pg_hba.conf");
        await File.WriteAllTextAsync(rules, "host all secured 127.0.0.1/32 scram-sha-256\n" + await File.ReadAllTextAsync(rules, Cancelled), Cancelled);
        await stream.SourceAsync("CREATE ROLE secured LOGIN PASSWORD 'right'");
        await stream.SourceAsync("SELECT pg_reload_conf(), pg_create_logical_replication_slot('taken', 'pgoutput')");
        await StreamHarness.UntilAsync(async () => await StreamHarness.ScalarAsync(stream.Source, "SELECT EXISTS (SELECT FROM pg_hba_file_rules WHERE 'secured' = ANY (user_name))") is true);

        async Task<string> FindAsync(string? password)
        {
            var source = stream.Options.Source with { User = "secured", Password = password };
            var findings = await StreamPreflight.CheckAsync(stream.Options with { Source = source }, Cancelled);
            return string.Join("\n", findings.Select(finding => $"{finding.Problem}: {finding.Remedy} {finding.Sql}"));
        }

        await StreamHarness.UntilAsync(async () => (await FindAsync("wrong")).Contains("refuses the password of secured", StringComparison.Ordinal));
        Assert.DoesNotContain("wrong", await FindAsync("wrong"), StringComparison.Ordinal);
        Assert.Contains("the URL has none", await FindAsync(null), StringComparison.Ordinal);
        var found = await FindAsync("right");
        Assert.Contains("ALTER ROLE \"secured\" REPLICATION;", found, StringComparison.Ordinal);
        Assert.Contains("all 1 replication slots are in use", found, StringComparison.Ordinal);
        Assert.Contains("WAL senders", found, StringComparison.Ordinal);
        Assert.Contains("CREATE PUBLICATION", found, StringComparison.Ordinal);
    }
}
