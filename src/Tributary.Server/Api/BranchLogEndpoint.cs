using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Tributary.Branching;

namespace Tributary.Server.Api;

/// <summary>The log of a branch's Postgres as plain text: its last lines and, on request, what comes until the branch is deleted or the client leaves.</summary>
sealed class BranchLogEndpoint(ServerView view, TimeProvider time)
{
    const int LinesDefault = 100;

    /// <summary>More lines than two log files of the default size hold.</summary>
    const int LinesMax = 200_000;

    /// <summary>How often a followed log is looked at: a person does not notice, and it costs one look at a file's length.</summary>
    static readonly TimeSpan FollowInterval = TimeSpan.FromMilliseconds(200);

    public void Map(IEndpointRouteBuilder routes) =>
        routes.MapGet("/v1/branches/{name}/logs", (string name, int? lines, bool? follow) => Get(name, lines ?? LinesDefault, follow ?? false));

    IResult Get(string name, int lines, bool follow)
    {
        if (lines is < 0 or > LinesMax)
            return Problems.Result(Problems.Invalid($"lines is a number from 0 to {LinesMax}"));
        if (view.Branching is not { } branching)
            return Problems.Result(Problems.BranchingOff);
        var found = branching.Manager.Find(name);
        return found.Succeeded ? new LogText(branching.Manager, found.Value, lines, follow, time) : Problems.Result(Problems.Of(found.Error));
    }

    sealed class LogText(BranchManager manager, Branch branch, int lines, bool follow, TimeProvider time) : IResult
    {
        public async Task ExecuteAsync(HttpContext httpContext)
        {
            var response = httpContext.Response;
            response.ContentType = "text/plain; charset=utf-8";
            var (last, position) = manager.LogOf(branch).Tail(lines);
            await response.WriteAsync(string.Concat(last.Select(line => line + "\n")), httpContext.RequestAborted);
            await response.Body.FlushAsync(httpContext.RequestAborted);
            if (!follow)
                return;
            // The server does not wait for its followers when it stops.
            using var end = CancellationTokenSource.CreateLinkedTokenSource(
                httpContext.RequestAborted, httpContext.RequestServices.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping);
            try
            {
                // A new branch of the same name has another id, and its log is not this one's.
                while (manager.Find(branch.Name.ToString()).Value?.Id == branch.Id)
                {
                    position = await CopyFromAsync(position, response, end.Token);
                    await Task.Delay(FollowInterval, time, end.Token);
                }
            }
            catch (OperationCanceledException)
            {
                // The client has left, or the server stops.
            }
        }

        async Task<long> CopyFromAsync(long position, HttpResponse response, CancellationToken cancellationToken)
        {
            try
            {
                await using var log = new FileStream(manager.LogOf(branch).File, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
                // A file that is shorter than before has been cut, and begins anew.
                log.Position = log.Length < position ? 0 : position;
                if (log.Length > log.Position)
                {
                    await log.CopyToAsync(response.Body, cancellationToken);
                    await response.Body.FlushAsync(cancellationToken);
                }

                return log.Position;
            }
            catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
            {
                return 0;
            }
        }
    }
}
