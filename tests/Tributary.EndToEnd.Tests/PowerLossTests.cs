using System.Buffers.Binary;
using Tributary.Contracts;
using Tributary.EndToEnd.Tests.Support;
using Tributary.Postgres.Programs;
using Tributary.Testing;

namespace Tributary.EndToEnd.Tests;

/// <summary>
/// The end of the machine: every process is killed, and of the pool only what had reached its image comes back. What the kernel still held in
/// memory of the file system in the image is lost, as it is when the power fails.
/// </summary>
public sealed class PowerLossTests : IAsyncDisposable
{
    static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    readonly TestSpace _space = new();
    PostgresServer? _production;

    string Image => Path.Combine(_space.State, "pool.img");

    [Fact]
    public async Task After_a_power_loss_every_settled_branch_is_whole_and_nothing_is_half_made()
    {
        _production = await TestServers.StartAsync(["wal_level = logical"]);
        await _space.ConfigureAsync($"source: {{ url: '{_production.Url()}' }}", "branching: { driver: btrfs, pool-size: 1GiB, seed-interval: 1s, restore-grace: 0s }");
        var running = await _space.UpAsync();
        await running.ReadyAsync();
        await running.CreateAsync("now");
        Assert.True((await running.Api.CreateBranchAsync(new BranchCreateRequest { Name = "seeded", FromSeed = true }, TestContext.Current.CancellationToken)).Succeeded);
        Assert.True((await running.Api.CreateBranchAsync(new BranchCreateRequest { Name = "fork", From = "now" }, TestContext.Current.CancellationToken)).Succeeded);
        await Eventually.HoldsAsync(() => Task.FromResult(PoolRecords.Branches(_space.State)), static branches => branches.All(branch => branch.Settled), "every branch is flushed", Limit);
        foreach (var branch in await running.ListAsync())
            await branch.AskAsync($"SET synchronous_commit = on; CREATE TABLE mine AS SELECT '{branch.Name}' AS owner");
        var born = await running.ListAsync();
        var writer = await BranchWriter.StartAsync(await running.GetAsync("fork"));
        var unfinished = running.Api.CreateBranchAsync(new BranchCreateRequest { Name = "unfinished" }, TestContext.Current.CancellationToken);

        await LosePowerAsync(running);
        await Task.WhenAll(unfinished, writer.Cut);
        running = await _space.UpAsync();
        await running.ReadyAsync();

        var now = (await running.ListAsync()).Where(static branch => branch.Name != "unfinished").ToList();
        Assert.Equal(born.Select(Identity), now.Select(Identity));
        foreach (var branch in now)
            Assert.Equal(branch.Name, await branch.AskAsync("SELECT owner FROM mine"));
        Assert.InRange((long)(await now.Single(static branch => branch.Name == "fork").AskAsync("SELECT max(n) FROM diary"))!, writer.Acknowledged, writer.Acknowledged + 1);
        Assert.Empty(PoolRecords.Orphans(_space.State));
        Assert.Equal(1, await (await running.CreateAsync("fresh")).AskAsync("SELECT 1"));

        static string Identity(BranchResponse branch) => $"{branch.Id} {branch.Name} {branch.Password()}";
    }

    public async ValueTask DisposeAsync()
    {
        await _space.DisposeAsync();
        await (_production?.DisposeAsync() ?? default);
    }

    async Task LosePowerAsync(RunningTributary running)
    {
        var tree = Machine.Tree(running.Id);
        await running.KillAsync();
        await Eventually.NothingIsLeftAsync(() => Machine.StillRunning(tree), "the run that lost its power", Limit);
        // A copy that the file system's own periodic commit has come into is of no one moment.
        long generation;
        do
        {
            generation = Generation();
            (await ChildProcesses.RunAsync(new ChildProcessSpec("cp", ["--sparse=always", Image, Image + ".lost"]), TestContext.Current.CancellationToken)).EnsureSucceeded("cp");
        }
        while (Generation() != generation);
        (await ChildProcesses.RunAsync(new ChildProcessSpec("umount", [Path.Combine(_space.State, "pool")]), TestContext.Current.CancellationToken)).EnsureSucceeded("umount");
        File.Move(Image + ".lost", Image, overwrite: true);
    }

    // Counts the commits: 8 bytes at 0x48 of the super block, which is at 64 KiB (https://btrfs.readthedocs.io/en/latest/dev/On-disk-format.html).
    long Generation()
    {
        using var file = new FileStream(Image, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
        file.Position = (64 << 10) + 0x48;
        Span<byte> bytes = stackalloc byte[8];
        file.ReadExactly(bytes);
        return BinaryPrimitives.ReadInt64LittleEndian(bytes);
    }
}
