using System.Diagnostics;
using System.Security.Cryptography;
using Tributary.Branching.Storage;
using Tributary.Postgres;
using Tributary.Postgres.Programs;
using Tributary.Testing;

namespace Tributary.Branching.Tests.Storage;

/// <summary>A pool of its own for each test of a driver, and what its tests do with it again and again.</summary>
public abstract class DriverPool : IAsyncLifetime
{
    Pool? _pool;

    protected abstract string DriverName { get; }

    /// <summary>Whether a frozen volume refuses writes; other drivers rely on nobody starting anything on it.</summary>
    protected virtual bool FreezeForbidsWrites => true;

    private protected Pool Pool => _pool!;

    private protected IStorageDriver Driver => Pool.Driver;

    protected BranchingOptions Options { get; private set; } = null!;

    protected static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        Options = await PrepareAsync(new BranchingOptions
        {
            StateDirectory = TestFolder.New("pool"),
            Source = new PostgresUrl { Host = "127.0.0.1", User = "nobody", Database = "none" },
            Driver = DriverName,
            PoolBytesMax = 512L << 20,
        });
        _pool = await Pool.OpenAsync(Options, Token);
    }

    public async ValueTask DisposeAsync()
    {
        if (_pool is not null)
            await _pool.CloseAsync();
        if (Options is not null)
            await CleanAsync();
        GC.SuppressFinalize(this);
    }

    /// <summary>Makes the place for the pool, where the driver does not do so itself.</summary>
    protected virtual Task<BranchingOptions> PrepareAsync(BranchingOptions options) => Task.FromResult(options);

    protected virtual Task CleanAsync() => Task.CompletedTask;

    /// <summary>Leaves of a clone what a crash in its middle leaves.</summary>
    protected virtual Task LeaveHalfCloneAsync(string source, string copy)
    {
        Directory.CreateDirectory(Driver.PathOf(copy) + ".unfinished");
        return File.WriteAllTextAsync(Path.Combine(Driver.PathOf(copy) + ".unfinished", "half"), "x", Token);
    }

    /// <summary>Bytes of one write that fills the pool.</summary>
    protected virtual int FillBytes => 1 << 20;

    /// <summary>Checks below the folders that nothing of deleted volumes is left.</summary>
    protected virtual Task AssertNothingIsLeftAsync() => Task.CompletedTask;

    private protected async Task ReopenAsync(BranchingOptions options, bool close = true)
    {
        if (close)
            await Pool.CloseAsync();
        _pool = null;
        _pool = await Pool.OpenAsync(options, Token);
    }

    /// <summary>Measures until it holds: some file systems count only what they have committed.</summary>
    private protected async Task<IReadOnlyDictionary<string, BranchUsage>> MeasureAsync(IReadOnlyList<string> volumes, Predicate<IReadOnlyDictionary<string, BranchUsage>> until)
    {
        IReadOnlyDictionary<string, BranchUsage> usage = new Dictionary<string, BranchUsage>();
        await WaitUntilAsync(async () => until(usage = await Driver.MeasureAsync(volumes, Token)));
        return usage;
    }

    protected static Task WaitUntilAsync(Func<bool> holds) => WaitUntilAsync(() => Task.FromResult(holds()));

    protected static async Task WaitUntilAsync(Func<Task<bool>> holds)
    {
        var clock = Stopwatch.StartNew();
        while (!await holds())
        {
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(30), "It did not come true within 30 s.");
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, Token);
        }
    }

    protected static async Task RunAsync(string program, IReadOnlyList<string> arguments, string? input = null) =>
        (await ChildProcesses.RunAsync(new ChildProcessSpec(program, arguments) { AsPostgresUser = true, StandardInput = input }, Token)).EnsureSucceeded(program);

    protected static async Task RunAsRootAsync(string program, params IReadOnlyList<string> arguments) =>
        (await ChildProcesses.RunAsync(new ChildProcessSpec(program, arguments), Token)).EnsureSucceeded($"{program} {string.Join(' ', arguments)}");

    // Large blocks first, and small ones into what they leave.
    protected async Task FillAsync(string volume)
    {
        var block = new byte[1 << 20];
        new Random(1).NextBytes(block);
        await using var stream = new FileStream(Path.Combine(Driver.PathOf(volume), "large"), FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0);
        try
        {
            for (var i = 0; i < 2000; i++)
            {
                for (var start = 0; start < block.Length; start += FillBytes)
                    await stream.WriteAsync(block.AsMemory(start, FillBytes), Token);
                stream.Flush(flushToDisk: true);
            }
        }
        catch (IOException)
        {
            for (var i = 0; i < 2000; i++)
            {
                await stream.WriteAsync(block.AsMemory(0, 4096), Token);
                stream.Flush(flushToDisk: true);
            }
        }
    }

    // A snapshot takes next to nothing, and a file without blocks of its own little, so that a full pool may still have room for some. They share what fills it, so they go again.
    int ClonesInFullPool => Driver.ClonesAreAtomic ? 5 : 200;

    protected async Task<Exception?> FirstRefusalAsync()
    {
        Exception? refused = null;
        for (var i = 0; i < ClonesInFullPool && refused is null; i++)
            refused = await Record.ExceptionAsync(() => Driver.CloneAsync("branches/b1", $"branches/more{i}", Token));
        foreach (var volume in Driver.List("branches").Where(volume => volume.StartsWith("branches/more", StringComparison.Ordinal)))
            await Driver.DeleteAsync(volume, Token);
        return refused;
    }

    protected IEnumerable<string> FilesOf(string volume) => Directory.EnumerateFileSystemEntries(Driver.PathOf(volume)).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal);

    protected string Checksums(string volume) => string.Join('\n', Directory.EnumerateFiles(Driver.PathOf(volume)).Order(StringComparer.Ordinal)
        .Select(file => $"{Path.GetFileName(file)} {Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(file)))}"));

    // Flushed to the disk, since a file system counts what it has allocated and not what waits in memory.
    protected async Task WriteAsync(string volume, string file, string text)
    {
        await using var stream = new FileStream(Path.Combine(Driver.PathOf(volume), file), FileMode.Create);
        await stream.WriteAsync(System.Text.Encoding.ASCII.GetBytes(text), Token);
        stream.Flush(flushToDisk: true);
    }

    protected Task<string> ReadAsync(string volume, string file) => File.ReadAllTextAsync(Path.Combine(Driver.PathOf(volume), file), Token);
}
