using System.Globalization;

namespace Tributary.Load.HugeTx;

/// <summary>The most that a process has held in memory and in a folder, and its processor time since the start.</summary>
sealed class ProcessPeak : IAsyncDisposable
{
    static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(200);

    readonly int _processId;
    readonly string _folder;
    readonly double _cpuMsBefore;
    readonly CancellationTokenSource _stop = new();
    readonly Task _sampling;

    ProcessPeak(int processId, string folder)
    {
        _processId = processId;
        _folder = folder;
        _cpuMsBefore = ProcessMeter.CpuMs(processId);
        _sampling = SampleAsync();
    }

    public long SpoolBytes { get; private set; }

    public long ResidentBytes { get; private set; }

    public double CpuMs { get; private set; }

    public static ProcessPeak Start(int processId, string folder) => new(processId, folder);

    public async Task<ProcessPeak> StopAsync()
    {
        await _stop.CancelAsync();
        await _sampling;
        CpuMs = ProcessMeter.CpuMs(_processId) - _cpuMsBefore;
        // The kernel's own high-water mark misses no peak between two samples (proc(5), VmHWM).
        var mark = File.ReadLines($"/proc/{_processId}/status").First(static line => line.StartsWith("VmHWM:", StringComparison.Ordinal));
        ResidentBytes = long.Parse(mark["VmHWM:".Length..^"kB".Length], CultureInfo.InvariantCulture) * 1024;
        return this;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _sampling;
        _stop.Dispose();
    }

    async Task SampleAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                SpoolBytes = Math.Max(SpoolBytes, new DirectoryInfo(_folder).EnumerateFiles("*", SearchOption.AllDirectories).Sum(static file => file.Length));
            }
            catch (IOException)
            {
                // A file or the folder itself went between being listed and being looked at, or is not there yet.
            }

            await Task.Delay(Interval, TimeProvider.System, _stop.Token).ContinueWith(static _ => { }, TaskScheduler.Default);
        }
    }
}
