using System.Globalization;
using Tributary.Postgres.Programs;

namespace Tributary.Load;

/// <summary>
/// A btrfs file system of the benchmark's own, in an image file on a loop device, with data written in place (<c>chattr +C</c>) as the
/// product does. Disposing it unmounts and removes it; one that a killed benchmark left is removed by the next.
/// </summary>
sealed class LoopPool : IAsyncDisposable
{
    const string FolderPrefix = "tributary-bench-";

    /// <summary>The image is sparse: room for the benchmarks whose data is small.</summary>
    public const long BytesDefault = 8L << 30;

    LoopPool(string folder) => Folder = folder;

    /// <summary>Around the mounted pool: for whatever else the benchmark keeps, a pool of Tributary's own included.</summary>
    public string Folder { get; }

    public string Path => System.IO.Path.Combine(Folder, "pool");

    public static Task<LoopPool> CreateAsync(CancellationToken cancellationToken) => CreateAsync(BytesDefault, cancellationToken);

    /// <param name="bytesMax">What the pool can hold.</param>
    /// <exception cref="ChildProcessException">The file system could not be made or mounted; it needs root and loop devices.</exception>
    public static async Task<LoopPool> CreateAsync(long bytesMax, CancellationToken cancellationToken)
    {
        await RemoveLeftoversAsync(cancellationToken);
        var pool = new LoopPool(Directory.CreateDirectory(System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"{FolderPrefix}{Environment.ProcessId}")).FullName);
        try
        {
            var image = System.IO.Path.Combine(pool.Folder, "pool.img");
            await using (var file = File.Create(image))
                file.SetLength(bytesMax);
            Directory.CreateDirectory(pool.Path);
            await RunAsync("mkfs.btrfs", ["--quiet", image], cancellationToken);
            await RunAsync("mount", ["-o", "loop,noatime", image, pool.Path], cancellationToken);
            await RunAsync("chattr", ["+C", pool.Path], cancellationToken);
            return pool;
        }
        catch
        {
            await pool.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync() => await RemoveAsync(Folder, CancellationToken.None);

    static async Task RemoveLeftoversAsync(CancellationToken cancellationToken)
    {
        foreach (var folder in Directory.EnumerateDirectories(System.IO.Path.GetTempPath(), $"{FolderPrefix}*"))
        {
            var owner = folder[(folder.LastIndexOf('-') + 1)..];
            if (int.TryParse(owner, NumberStyles.None, CultureInfo.InvariantCulture, out _) && !Directory.Exists($"/proc/{owner}"))
                await RemoveAsync(folder, cancellationToken);
        }
    }

    static async Task RemoveAsync(string folder, CancellationToken cancellationToken)
    {
        foreach (var mounted in File.ReadLines("/proc/mounts").Select(line => line.Split(' ')[1]).Where(path => path.StartsWith(folder + "/", StringComparison.Ordinal)).ToList())
            await RunAsync("umount", [mounted], cancellationToken);
        Directory.Delete(folder, recursive: true);
    }

    static async Task RunAsync(string program, string[] arguments, CancellationToken cancellationToken)
    {
        var result = await ChildProcesses.RunAsync(new ChildProcessSpec(program, arguments), cancellationToken);
        result.EnsureSucceeded($"{program} {string.Join(' ', arguments)}");
    }
}
