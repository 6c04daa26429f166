using System.Diagnostics;
using Npgsql;
using Tributary.Branching.Storage;
using Tributary.Postgres.Programs;
using Tributary.Testing;

namespace Tributary.Branching.Tests.Storage;

/// <summary>What every storage driver promises.</summary>
public abstract class StorageDriverContract : DriverPool
{
    [Fact]
    public void Is_the_driver_that_was_asked_for() => Assert.Equal(DriverName, Driver.Name);

    [Fact]
    public async Task A_new_volume_is_empty_and_its_owners_alone()
    {
        await Driver.CreateAsync("main", Token);

        Assert.Empty(Directory.EnumerateFileSystemEntries(Driver.PathOf("main")));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(Driver.PathOf("main")));
    }

    [Fact]
    public async Task A_clone_holds_what_its_source_held_and_neither_sees_the_others_writes()
    {
        await Driver.CreateAsync("main", Token);
        await WriteAsync("main", "kept", "old");
        await WriteAsync("main", "changed", "old");

        await Driver.CloneAsync("main", "branches/b1", Token);
        await WriteAsync("branches/b1", "changed", "by the clone");
        await WriteAsync("main", "kept", "by the source");

        Assert.Equal("old", await ReadAsync("branches/b1", "kept"));
        Assert.Equal("by the clone", await ReadAsync("branches/b1", "changed"));
        Assert.Equal("old", await ReadAsync("main", "changed"));
    }

    [Fact]
    public async Task A_repeated_clone_replaces_the_one_before()
    {
        await Driver.CreateAsync("main", Token);
        await Driver.CloneAsync("main", "branches/b1", Token);
        await WriteAsync("branches/b1", "leftover", "x");

        await Driver.CloneAsync("main", "branches/b1", Token);

        Assert.Empty(Directory.EnumerateFileSystemEntries(Driver.PathOf("branches/b1")));
    }

    [Fact]
    public async Task A_deleted_volume_is_gone_also_when_frozen_and_a_second_deletion_is_no_error()
    {
        await Driver.CreateAsync("seeds/s1", Token);
        await WriteAsync("seeds/s1", "file", "x");
        await Driver.FreezeAsync("seeds/s1", Token);

        await Driver.DeleteAsync("seeds/s1", Token);
        await Driver.DeleteAsync("seeds/s1", Token);

        Assert.False(Directory.Exists(Driver.PathOf("seeds/s1")));
        Assert.Empty(Driver.List("seeds"));
    }

    [Fact]
    public async Task A_clone_of_a_frozen_volume_can_be_written()
    {
        await Driver.CreateAsync("seeds/s1", Token);
        await Driver.FreezeAsync("seeds/s1", Token);

        await Driver.CloneAsync("seeds/s1", "branches/b1", Token);
        await WriteAsync("branches/b1", "file", "x");

        Assert.Equal("x", await ReadAsync("branches/b1", "file"));
    }

    [Fact]
    public async Task A_volume_that_may_be_compressed_holds_what_was_written()
    {
        await Driver.CreateAsync("archive", Token);

        await Driver.CompressAsync("archive", Token);
        await WriteAsync("archive", "file", new string('x', 100_000));

        Assert.Equal(new string('x', 100_000), await ReadAsync("archive", "file"));
    }

    [Fact]
    public async Task Lists_what_is_there_in_order()
    {
        foreach (var volume in new[] { "branches/b2", "branches/b1", "seeds/s1" })
            await Driver.CreateAsync(volume, Token);

        Assert.Equal(["branches/b1", "branches/b2"], Driver.List("branches"));
        Assert.Empty(Driver.List("nothing"));
    }

    [Fact]
    public async Task Measures_what_a_clone_has_written_and_leaves_out_what_is_gone()
    {
        await Driver.CreateAsync("main", Token);
        await WriteAsync("main", "base", new string('a', 4 << 20));
        await Driver.CloneAsync("main", "branches/b1", Token);
        await WriteAsync("branches/b1", "own", new string('b', 1 << 20));

        var usage = await MeasureAsync(["main", "branches/b1", "branches/none"], found => found["branches/b1"].ExclusiveBytes >= 1 << 20);

        Assert.Equal(["branches/b1", "main"], usage.Keys.Order());
        Assert.InRange(usage["branches/b1"].TotalBytes, 5 << 20, 6 << 20);
        Assert.InRange(usage["branches/b1"].ExclusiveBytes, 1 << 20, Driver.Name == "copy" ? 6 << 20 : 2 << 20);
    }

    [Fact]
    public async Task Volumes_share_what_they_hold_alike_where_the_file_system_can_and_stay_what_they_are()
    {
        const int Bytes = 2 << 20;
        var random = new Random(1);
        var text = string.Create(Bytes, random, static (letters, source) => source.GetItems<char>("abcdefgh", letters));
        var other = text[..(Bytes / 2)] + "X" + text[((Bytes / 2) + 1)..] + "longer";
        await Driver.CreateAsync("main", Token);
        foreach (var (volume, own) in new[] { ("branches/b1", text), ("branches/b2", other) })
        {
            await Driver.CloneAsync("main", volume, Token);
            await WriteAsync(volume, "own", own);
            await WriteAsync(volume, "own-only-" + volume[^1], own);
        }

        var shared = await Driver.ShareAlikeAsync("branches/b2", "branches/b1", Token);

        var canShare = Driver.Name is "btrfs" or "xfs";
        Assert.InRange(shared, canShare ? Bytes - (4 * 8192) : 0, canShare ? Bytes - 8192 : 0);
        await MeasureAsync(["branches/b2"], found => found["branches/b2"].ExclusiveBytes is >= Bytes and var own && own < (canShare ? 3 : 9) * Bytes / 2);
        Assert.Equal(0L, await Driver.ShareAlikeAsync("branches/b2", "branches/b1", Token));
        Assert.Equal(text, await ReadAsync("branches/b1", "own"));
        Assert.Equal(other, await ReadAsync("branches/b2", "own"));

        await WriteAsync("branches/b2", "own", new string('z', Bytes));
        await MeasureAsync(["branches/b2"], found => found["branches/b2"].ExclusiveBytes >= 2 * Bytes);
        Assert.Equal(text, await ReadAsync("branches/b1", "own"));
        await Driver.DeleteAsync("branches/b2", Token);
        Assert.Equal(text, await ReadAsync("branches/b1", "own"));
    }

    // Whoever runs a branch has its files, and may put a link or a pipe in their place.
    [Fact]
    public async Task Sharing_follows_no_link_and_waits_for_no_pipe()
    {
        await Driver.CreateAsync("branches/b1", Token);
        await Driver.CreateAsync("branches/b2", Token);
        await WriteAsync("branches/b1", "linked", new string('a', 1 << 20));
        await WriteAsync("branches/b2", "target", new string('a', 1 << 20));
        File.CreateSymbolicLink(Path.Combine(Driver.PathOf("branches/b2"), "linked"), "target");
        await RunAsRootAsync("mkfifo", Path.Combine(Driver.PathOf("branches/b1"), "pipe"), Path.Combine(Driver.PathOf("branches/b2"), "pipe"));

        Assert.Equal(0L, await Driver.ShareAlikeAsync("branches/b2", "branches/b1", Token));
        Assert.Equal(0L, await Driver.ShareAlikeAsync("branches/b1", "branches/b2", Token));
    }

    [Fact]
    public async Task A_frozen_volume_refuses_writes_where_that_is_promised()
    {
        await Driver.CreateAsync("seeds/s1", Token);
        await WriteAsync("seeds/s1", "file", "old");
        await Driver.FreezeAsync("seeds/s1", Token);
        await Driver.FreezeAsync("seeds/s1", Token);

        if (FreezeForbidsWrites)
        {
            Assert.NotNull(await Record.ExceptionAsync(() => WriteAsync("seeds/s1", "file", "new")));
            Assert.NotNull(await Record.ExceptionAsync(() => WriteAsync("seeds/s1", "another", "new")));
        }

        Assert.Equal("old", await ReadAsync("seeds/s1", "file"));
    }

    [Fact]
    public async Task Clones_of_clones_outlive_what_they_were_cloned_from()
    {
        string[] chain = ["main", "seeds/s1", "branches/b1", "branches/b2"];
        await Driver.CreateAsync(chain[0], Token);
        await WriteAsync(chain[0], "of-main", "main");
        foreach (var (source, copy) in chain.Zip(chain.Skip(1)))
        {
            await Driver.CloneAsync(source, copy, Token);
            await WriteAsync(copy, "of-" + copy.Replace('/', '-'), copy);
        }

        await Driver.CloneAsync("seeds/s1", "branches/b3", Token);
        await Driver.FreezeAsync("seeds/s1", Token);
        await Driver.DeleteAsync("seeds/s1", Token);
        await Driver.DeleteAsync("main", Token);

        Assert.Equal(["of-branches-b1", "of-branches-b2", "of-main", "of-seeds-s1"], FilesOf("branches/b2"));
        Assert.Equal(["of-branches-b1", "of-main", "of-seeds-s1"], FilesOf("branches/b1"));
        Assert.Equal(["of-main", "of-seeds-s1"], FilesOf("branches/b3"));
        await Driver.DeleteAsync("branches/b1", Token);
        Assert.Equal("branches/b1", await ReadAsync("branches/b2", "of-branches-b1"));
        await Driver.DeleteAsync("branches/b2", Token);
        Assert.Equal("main", await ReadAsync("branches/b3", "of-main"));
        await Driver.DeleteAsync("branches/b3", Token);
        Assert.Empty(Driver.List("branches"));
        await AssertNothingIsLeftAsync();
    }

    [Fact]
    public async Task A_volume_with_a_hundred_clones_is_still_cloned_and_deleted_fast()
    {
        await Driver.CreateAsync("seeds/s1", Token);
        for (var i = 0; i < 20; i++)
            await WriteAsync("seeds/s1", $"f{i}", $"{i}");
        await Driver.FreezeAsync("seeds/s1", Token);
        await Driver.CloneAsync("seeds/s1", "branches/first", Token);
        await Driver.DeleteAsync("branches/first", Token);
        string[] clones = [.. Enumerable.Range(100, 100).Select(i => $"branches/b{i}")];

        var clock = Stopwatch.StartNew();
        foreach (var clone in clones)
            await Driver.CloneAsync("seeds/s1", clone, Token);
        var cloned = clock.Elapsed;
        await Driver.CloneAsync("seeds/s1", "branches/b999", Token);
        var last = clock.Elapsed - cloned;
        await Driver.DeleteAsync("seeds/s1", Token);
        Assert.Equal(clones.Append("branches/b999"), Driver.List("branches"));
        Assert.Equal("19", await ReadAsync("branches/b150", "f19"));
        clock.Restart();
        foreach (var clone in clones.Append("branches/b999"))
            await Driver.DeleteAsync(clone, Token);

        TestContext.Current.TestOutputHelper?.WriteLine($"{Driver.Name}: 100 clones {cloned.TotalMilliseconds:0} ms, one more {last.TotalMilliseconds:0} ms, 101 deletions {clock.ElapsedMilliseconds} ms");
        Assert.True(last < TimeSpan.FromSeconds(1), $"the clone after a hundred took {last}");
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(50), $"101 deletions took {clock.Elapsed}");
        await AssertNothingIsLeftAsync();
    }

    [Fact]
    public async Task What_a_crash_left_of_a_clone_is_replaced_by_the_next_try()
    {
        await Driver.CreateAsync("main", Token);
        await WriteAsync("main", "file", "whole");
        await LeaveHalfCloneAsync("main", "branches/b1");

        await Driver.CloneAsync("main", "branches/b1", Token);

        Assert.Equal(["file"], FilesOf("branches/b1"));
        Assert.Equal(["branches/b1"], Driver.List("branches"));
        await Driver.DeleteAsync("branches/b1", Token);
        await Driver.DeleteAsync("main", Token);
        await AssertNothingIsLeftAsync();
    }

    [Fact]
    public async Task What_a_crash_left_of_a_clone_is_gone_after_the_next_start_and_deletion()
    {
        await Driver.CreateAsync("main", Token);
        await LeaveHalfCloneAsync("main", "branches/b1");

        await ReopenAsync(Options);
        foreach (var volume in Driver.List("branches"))
            await Driver.DeleteAsync(volume, Token);
        await Driver.DeleteAsync("branches/b1", Token);

        Assert.Empty(Driver.List("branches"));
        await Driver.DeleteAsync("main", Token);
        await AssertNothingIsLeftAsync();
    }

    [Fact]
    public async Task A_full_pool_says_so_and_takes_new_volumes_after_a_deletion()
    {
        await Driver.CreateAsync("main", Token);
        await WriteAsync("main", "base", new string('a', 8 << 20));
        await Driver.CloneAsync("main", "branches/b1", Token);

        var full = await Assert.ThrowsAnyAsync<IOException>(() => FillAsync("branches/b1"));
        var refused = await FirstRefusalAsync();
        await Driver.DeleteAsync("branches/b1", Token);

        Assert.Contains("No space left", full.Message, StringComparison.Ordinal);
        Assert.True(refused is null or StorageException { IsFull: true }, $"a clone in a full pool: {refused}");
        Assert.True(refused is not null || Driver.ClonesAreAtomic, "a clone that makes files in a full pool was not refused");
        Assert.False(Directory.Exists(Driver.PathOf("branches/b1")));
        await WaitUntilAsync(() => Pool.Space().Free > 32 << 20);
        await Driver.CreateAsync("branches/b2", Token);
        await WriteAsync("branches/b2", "file", new string('b', 1 << 20));
    }

    [Fact]
    public async Task Writing_in_a_clone_changes_no_byte_of_source_seed_or_sibling()
    {
        var random = new Random(7);
        await Driver.CreateAsync("main", Token);
        foreach (var size in new[] { 0, 1, 4096, 8191, 70_000, 3 << 20 })
        {
            var bytes = new byte[size];
            random.NextBytes(bytes);
            await File.WriteAllBytesAsync(Path.Combine(Driver.PathOf("main"), $"f{size}"), bytes, Token);
        }

        await Driver.CloneAsync("main", "seeds/s1", Token);
        await Driver.FreezeAsync("seeds/s1", Token);
        await Driver.CloneAsync("seeds/s1", "branches/b1", Token);
        await Driver.CloneAsync("seeds/s1", "branches/b2", Token);
        string[] others = ["main", "seeds/s1", "branches/b2"];
        var before = others.ToDictionary(volume => volume, Checksums);

        // In place as Postgres writes, then longer, shorter, gone and new.
        using (var file = File.OpenHandle(Path.Combine(Driver.PathOf("branches/b1"), "f3145728"), FileMode.Open, FileAccess.Write))
        {
            for (var page = 0; page < 384; page += 3)
                RandomAccess.Write(file, new byte[8192], page * 8192L);
            RandomAccess.FlushToDisk(file);
        }

        await WriteAsync("branches/b1", "f1", "longer");
        await WriteAsync("branches/b1", "f70000", "");
        File.Delete(Path.Combine(Driver.PathOf("branches/b1"), "f4096"));
        await WriteAsync("branches/b1", "new", "x");
        await Driver.CloneAsync("branches/b1", "branches/b3", Token);
        await Driver.DeleteAsync("branches/b1", Token);

        Assert.All(others, volume => Assert.Equal(before[volume], Checksums(volume)));
        Assert.Equal(before["main"], before["branches/b2"]);
        Assert.NotEqual(before["main"], Checksums("branches/b3"));
    }

    [Fact]
    public async Task Postgres_runs_on_a_clone_of_a_stopped_cluster()
    {
        var installation = TestServers.Newest;
        await Driver.CreateAsync("main", Token);
        var main = Driver.PathOf("main");
        await RunAsync(installation.Program("initdb"), ["-D", main, "--username=postgres", "--auth=trust", "--no-sync", "--data-checksums"]);
        await RunAsync(installation.Program("postgres"), ["--single", "-D", main, "postgres"], "CREATE TABLE kept AS SELECT 42 AS answer;\n");
        await Driver.CloneAsync("main", "branches/b1", Token);

        var sockets = TestFolder.New("s");
        PostgresUser.Own(sockets);
        using var server = await ChildProcesses.StartAsync(
            new ChildProcessSpec(installation.Program("postgres"), ["-D", Driver.PathOf("branches/b1"), "-k", sockets, "-c", "listen_addresses="])
            { AsPostgresUser = true, ParentDeathSignal = "QUIT", LogFile = Path.Combine(sockets, "log") }, Token);
        try
        {
            await WaitUntilAsync(() => server.HasExited || File.Exists(Path.Combine(sockets, ".s.PGSQL.5432")));
            await using var data = NpgsqlDataSource.Create($"Host={sockets};Username=postgres;Database=postgres;Pooling=false");
            object? answer = null;
            await WaitUntilAsync(async () =>
            {
                try
                {
                    await using var command = data.CreateCommand("UPDATE kept SET answer = answer + 1 RETURNING answer");
                    answer = await command.ExecuteScalarAsync(Token);
                    return true;
                }
                catch (NpgsqlException) when (!server.HasExited)
                {
                    return false;
                }
            });
            Assert.Equal(43, answer);
        }
        finally
        {
            await ChildProcesses.RunAsync(new ChildProcessSpec("/bin/kill", ["-s", "QUIT", $"{server.Id}"]), CancellationToken.None);
            await server.WaitForExitAsync(CancellationToken.None);
        }
    }
}
